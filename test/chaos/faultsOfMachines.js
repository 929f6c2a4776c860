/** Faults of an attached machine and of the connection to it. */
import { pause } from "./lab.js"
import { kill } from "./processes.js"

/** @typedef {import("./faults.js").Fault} Fault */

const builds = /** @type {Fault["builds"]} */ (["attach"])
/** A machine that was reached once is waited for. One that never was fails as host-unreachable. */
const unlessNeverReached = { ends: ["ready", "failed"], reasons: ["host-unreachable"] }

/** @type {ReadonlyArray<Fault>} */
export const faultsOfMachines = [
  {
    name: "kill -9 of the connection's master",
    builds,
    ...unlessNeverReached,
    strike: ({ lab }) => {
      for (const { pid } of lab.masters()) kill(pid, "SIGKILL")
    }
  },
  {
    name: "SIGSTOP and SIGCONT of the connection's master",
    builds,
    ends: ["ready"],
    strike: async ({ lab, random }) => {
      const masters = lab.masters()
      for (const { pid } of masters) kill(pid, "SIGSTOP")
      await pause(random.between(0.5, 6))
      for (const { pid } of masters) kill(pid, "SIGCONT")
    }
  },
  {
    name: "kill -9 of sshd and all its sessions, and a new one",
    builds,
    ...unlessNeverReached,
    strike: async ({ lab, random }) => {
      await lab.machine?.stop()
      await pause(random.between(0.2, 4))
      await lab.machine?.start()
    }
  },
  {
    name: "kill -9 of sshd's sessions, three times",
    builds,
    ...unlessNeverReached,
    strike: async ({ lab, random }) => {
      for (let times = 0; times < 3; times++) {
        await lab.machine?.cut()
        await pause(random.between(0.2, 1.5))
      }
    }
  },
  {
    name: "kill -9 of who follows the Job on the machine",
    builds,
    ...unlessNeverReached,
    strike: ({ lab }) => {
      for (const { pid } of lab.asked()) kill(pid, "SIGKILL")
    }
  },
  {
    name: "kill -9 of the supervisor and the connection's master",
    builds,
    ...unlessNeverReached,
    strike: ({ lab }) => {
      for (const { pid } of [...lab.supervisors(), ...lab.masters()]) kill(pid, "SIGKILL")
    }
  },
  {
    name: "kill -9 of the command on the machine",
    builds,
    ends: ["ready", "failed"],
    strike: ({ lab }) => {
      for (const { command, pid } of lab.jobProcesses()) {
        if (!command.includes("sandboxer-job")) kill(pid, "SIGKILL")
      }
    }
  }
]

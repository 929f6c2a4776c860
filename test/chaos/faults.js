/** The faults, each of which strikes a build at a random time. */
import { existsSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import Database from "better-sqlite3"
import { faultsOfHubs } from "./faultsOfHubs.js"
import { faultsOfMachines } from "./faultsOfMachines.js"
import { below, isFile, pause } from "./lab.js"
import { kill } from "./processes.js"

/**
 * @typedef {object} Round
 * @property {import("./lab.js").Lab} lab
 * @property {import("./lab.js").Started} command
 * @property {import("./random.js").Random} random
 */

/**
 * `ends`: the states that may follow; a build that had already ended is `ready`. `builds`: the kinds that it strikes.
 * @typedef {object} Fault
 * @property {string} name
 * @property {ReadonlyArray<import("./builds.js").Kind>} builds
 * @property {ReadonlyArray<string>} ends
 * @property {ReadonlyArray<string>} [reasons] The failure reasons that may follow; any if left out.
 * @property {(lab: import("./lab.js").Lab) => void} [before]
 * @property {(round: Round) => void | Promise<unknown>} strike
 * @property {boolean} [losesOutput] Whether it may lose lines of the output.
 * @property {boolean} [rootOnly]
 */

/** @param {import("./lab.js").Lab} lab */
const wrappers = (lab) => lab.jobProcesses().filter(({ command }) => command.includes("sandboxer-job"))

/** @param {import("./lab.js").Lab} lab */
const packers = (lab) => lab.jobProcesses().filter(({ command }) => /^\S*packer build /.test(command))

/**
 * @param {ReadonlyArray<import("./processes.js").Process>} processes
 * @param {NodeJS.Signals} signal
 */
const strikeAll = (processes, signal) => {
  for (const { pid } of processes) kill(pid, signal)
}

/**
 * Files in the state directory, and in our folder on the machine, with this ending.
 * @param {import("./lab.js").Lab} lab
 * @param {string} ending
 */
const filesEnding = (lab, ending) =>
  [lab.home, ...(lab.machine === undefined ? [] : [join(lab.machine.home, ".sandboxer")])].flatMap((folder) =>
    below(folder)
      .filter((name) => name.endsWith(ending))
      .map((name) => join(folder, name))
  )

/** @type {Fault["builds"]} */
const all = ["quick", "machine", "attach", "hub"]
/** @type {Fault["builds"]} */
const withPacker = ["quick", "machine"]
/**
 * Without `hub`, for which they are the same as for `quick`.
 * @type {Fault["builds"]}
 */
const untold = ["quick", "machine", "attach"]

const survives = ["ready"]
const interrupted = ["ready", "failed"]
const cancels = ["ready", "cancelled"]

/** The path in Debian's package `libfaketime`. */
const fakeTime = readdirSync("/usr/lib", { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`)
  .find((file) => existsSync(file))

/** @type {ReadonlyArray<Fault>} */
export const faults = [
  ...faultsOfMachines,
  ...faultsOfHubs,
  {
    name: "kill -9 of the command",
    builds: all,
    ends: survives,
    strike: ({ command }) => kill(command.pid, "SIGKILL")
  },
  {
    name: "closed terminal (SIGHUP to the command's group)",
    builds: all,
    ends: survives,
    strike: ({ command }) => kill(-command.pid, "SIGHUP")
  },
  {
    name: "kill -9 of the supervisor",
    builds: all,
    ends: survives,
    strike: ({ lab }) => strikeAll(lab.supervisors(), "SIGKILL")
  },
  {
    name: "kill -9 of the command and the supervisor",
    builds: all,
    ends: survives,
    strike: ({ command, lab }) => {
      kill(command.pid, "SIGKILL")
      strikeAll(lab.supervisors(), "SIGKILL")
    }
  },
  {
    name: "SIGTERM to the supervisor",
    builds: all,
    ends: survives,
    strike: ({ lab }) => strikeAll(lab.supervisors(), "SIGTERM")
  },
  {
    name: "kill -9 of the supervisor, three times",
    builds: all,
    ends: survives,
    strike: async ({ lab, random }) => {
      for (let times = 0; times < 3; times++) {
        strikeAll(lab.supervisors(), "SIGKILL")
        await pause(random.between(0.2, 1.5))
      }
    }
  },
  {
    name: "SIGSTOP and SIGCONT of the supervisor",
    builds: all,
    ends: survives,
    strike: async ({ lab, random }) => {
      const stopped = lab.supervisors()
      strikeAll(stopped, "SIGSTOP")
      await pause(random.between(0.5, 4))
      strikeAll(stopped, "SIGCONT")
    }
  },
  {
    name: "kill -9 of the group",
    builds: untold,
    ends: interrupted,
    strike: ({ lab }) => {
      for (const { group } of wrappers(lab)) kill(-group, "SIGKILL")
    }
  },
  {
    name: "kill -9 of Packer",
    builds: withPacker,
    ends: interrupted,
    strike: ({ lab }) => strikeAll(packers(lab), "SIGKILL")
  },
  {
    name: "kill -9 of the machine, or of what Packer runs",
    builds: withPacker,
    ends: interrupted,
    strike: ({ lab }) => {
      const machines = lab.jobProcesses().filter(({ command }) => command.includes("qemu-system"))
      const others = lab
        .jobProcesses()
        .filter(({ command }) => /packer-shell|plugin/.test(command) && !/^\S*packer build /.test(command))
      strikeAll(machines.length > 0 ? machines : others, "SIGKILL")
    }
  },
  {
    name: "kill -9 of the wrapper",
    builds: untold,
    ends: interrupted,
    strike: ({ lab }) => strikeAll(wrappers(lab), "SIGKILL")
  },
  {
    name: "SIGTERM to the command",
    builds: all,
    ends: cancels,
    strike: ({ command }) => kill(command.pid, "SIGTERM")
  },
  {
    name: "SIGINT to the command, twice",
    builds: all,
    ends: cancels,
    strike: async ({ command, random }) => {
      kill(command.pid, "SIGINT")
      await pause(random.between(0, 0.5))
      kill(command.pid, "SIGINT")
    }
  },
  {
    name: "a cancel, and kill -9 of the supervisor in the midst of it",
    builds: all,
    ends: cancels,
    strike: async ({ command, lab, random }) => {
      kill(command.pid, "SIGTERM")
      await pause(random.between(0, 1))
      strikeAll(lab.supervisors(), "SIGKILL")
    }
  },
  {
    name: "a locked database",
    builds: all,
    ends: survives,
    strike: async ({ lab, random }) => {
      const file = join(lab.home, "sandboxer.db")
      if (!existsSync(file)) return
      const database = new Database(file, { timeout: 5000 })
      database.exec("BEGIN IMMEDIATE")
      await pause(random.between(0.2, 6))
      database.exec("ROLLBACK")
      database.close()
    }
  },
  {
    name: "a truncated log",
    builds: untold,
    ends: interrupted,
    losesOutput: true,
    strike: ({ lab, random }) => {
      const files = random.next() < 0.5 ? filesEnding(lab, "/raw.log") : filesEnding(lab, ".log")
      for (const file of files.filter(isFile)) truncateSync(file, Math.floor(statSync(file).size / 2))
    }
  },
  {
    name: "a full disk",
    builds: ["quick"],
    ends: interrupted,
    losesOutput: true,
    rootOnly: true,
    before: (lab) => lab.mountSmallDisk(),
    strike: async ({ lab, random }) => {
      const file = join(lab.home, "filler")
      const mebibyte = Buffer.alloc(2 ** 20)
      for (const piece of [mebibyte, mebibyte.subarray(0, 4096), mebibyte.subarray(0, 1)]) {
        try {
          for (;;) writeFileSync(file, piece, { flag: "a" })
        } catch {
          // Full except for less than this.
        }
      }
      await pause(random.between(0.5, 4))
      rmSync(file, { force: true })
    }
  },
  ...(fakeTime === undefined
    ? []
    : [
        {
          name: "a clock that jumps",
          builds: all,
          ends: survives,
          before: (/** @type {import("./lab.js").Lab} */ lab) => {
            const file = join(lab.folder, "clock")
            writeFileSync(file, "+0")
            Object.assign(lab.environment, {
              LD_PRELOAD: fakeTime,
              FAKETIME_TIMESTAMP_FILE: file,
              FAKETIME_NO_CACHE: "1",
              FAKETIME_DONT_FAKE_MONOTONIC: "1"
            })
          },
          strike: async (/** @type {Round} */ { lab, random }) => {
            writeFileSync(join(lab.folder, "clock"), random.pick(["-3h", "+9h", "-400d"]))
            if (random.next() < 0.5) strikeAll(lab.supervisors(), "SIGKILL")
          }
        }
      ])
]

/** Faults of a State Hub and of the sender of notes. */
import { pause } from "./lab.js"
import { kill } from "./processes.js"

/** @typedef {import("./faults.js").Fault} Fault */

const builds = /** @type {Fault["builds"]} */ (["hub"])
/** A hub's fault does not change how the build ends. */
const ends = ["ready"]

/**
 * Waits for a process that sends notes, and returns it.
 * @param {import("./lab.js").Lab} lab
 */
const sender = async (lab) => {
  for (let looks = 0; looks < 30; looks++) {
    const holder = lab.database((database) => {
      const made = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'sender'").get()
      return made && database.prepare("SELECT holder FROM sender WHERE holder <> 'null'").pluck().get()
    }, undefined)
    if (typeof holder === "string") return Number(JSON.parse(holder).pid)
    await pause(0.1)
  }
  return undefined
}

/** @type {ReadonlyArray<Fault>} */
export const faultsOfHubs = [
  {
    name: "kill -9 of the hub, and a new one",
    builds,
    ends,
    strike: async ({ lab, random }) => {
      await lab.hub?.end()
      await pause(random.between(0, 3))
      await lab.hub?.start()
    }
  },
  {
    name: "SIGSTOP and SIGCONT of the hub",
    builds,
    ends,
    strike: async ({ lab, random }) => {
      lab.hub?.signal("SIGSTOP")
      await pause(random.between(0.5, 7))
      lab.hub?.signal("SIGCONT")
    }
  },
  {
    name: "kill -9 of who tells the hub, in the midst of it",
    builds,
    ends,
    strike: async ({ lab, random }) => {
      // The stopped hub accepts the notes when it continues, but its senders are gone by then.
      lab.hub?.signal("SIGSTOP")
      const pid = await sender(lab)
      if (pid !== undefined) kill(pid, "SIGKILL")
      await pause(random.between(0, 1))
      lab.hub?.signal("SIGCONT")
    }
  },
  {
    name: "kill -9 of hub flush and of the hub, in the midst of it",
    builds,
    ends,
    strike: async ({ lab, random }) => {
      lab.hub?.signal("SIGSTOP")
      const flush = lab.start(["hub", "flush"])
      await pause(random.between(0.3, 1.5))
      kill(flush.pid, "SIGKILL")
      await lab.hub?.end()
      await flush.ended
      await lab.hub?.start()
    }
  }
]

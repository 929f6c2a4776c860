/** What runs on this machine, as /proc shows it. */
import { readdirSync, readFileSync } from "node:fs"

/** @param {string} file */
const read = (file) => {
  try {
    return readFileSync(file, "latin1")
  } catch {
    // It is gone, or another user's.
    return ""
  }
}

/**
 * @typedef {object} Process
 * @property {number} pid
 * @property {number} group
 * @property {string} command
 */

/**
 * Living processes, zombies aside, for which it holds.
 * @param {(environment: ReadonlyArray<string>, command: string) => boolean} holds
 * @returns {ReadonlyArray<Process>}
 */
const processes = (holds) =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const command = read(`/proc/${pid}/cmdline`).split("\0").join(" ").trim()
      if (!holds(read(`/proc/${pid}/environ`).split("\0"), command)) return []
      const fields = /\) (\S) \d+ (\d+) /.exec(read(`/proc/${pid}/stat`))
      if (fields === null || fields[1] === "Z" || fields[1] === "X") return []
      return [{ pid: Number(pid), group: Number(fields[2]), command }]
    })

/**
 * Those that have in their environment an entry that begins so: `NAME=value…`.
 * @param {string} beginning
 */
export const processesWith = (beginning) =>
  processes((environment) => environment.some((entry) => entry.startsWith(beginning)))

/**
 * Those that call themselves so: ssh's master overwrites its environment with what it is.
 * @param {RegExp} title
 */
export const processesCalled = (title) => processes((_, command) => title.test(command))

/**
 * @param {number} pid negative for a group
 * @param {NodeJS.Signals} signal
 */
export const kill = (pid, signal) => {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended by itself.
  }
}

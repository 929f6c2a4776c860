/** The processes of this machine, from /proc. */
import { readdirSync, readFileSync } from "node:fs"

/** @param {string} file */
const read = (file) => {
  try {
    return readFileSync(file, "latin1")
  } catch {
    // It ended, or belongs to another user.
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
 * Living processes, without zombies, that match.
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
 * Processes with an environment entry that begins with `NAME=value…`.
 * @param {string} beginning
 */
export const processesWith = (beginning) =>
  processes((environment) => environment.some((entry) => entry.startsWith(beginning)))

/**
 * Processes with a matching title: ssh's control master overwrites its environment with its title.
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
    // It has already ended.
  }
}

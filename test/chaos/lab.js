/** A state directory of its own for a round, the command in it, and what runs for it on this machine. */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import Database from "better-sqlite3"

export const root = fileURLToPath(new URL("../..", import.meta.url))
const executable = join(root, "dist/bin.js")

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
 * Living processes, zombies aside, that have in their environment an entry that begins so: `NAME=value…`.
 * @param {string} beginning
 * @returns {ReadonlyArray<Process>}
 */
export const processesWith = (beginning) =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) =>
      read(`/proc/${pid}/environ`)
        .split("\0")
        .some((entry) => entry.startsWith(beginning))
    )
    .flatMap((pid) => {
      const fields = /\) (\S) \d+ (\d+) /.exec(read(`/proc/${pid}/stat`))
      if (fields === null || fields[1] === "Z" || fields[1] === "X") return []
      const command = read(`/proc/${pid}/cmdline`).split("\0").join(" ").trim()
      return [{ pid: Number(pid), group: Number(fields[2]), command }]
    })

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

/** @param {number} seconds */
export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

/**
 * How a command ended; one that took too long was killed, and has no exit code.
 * @typedef {object} Ended
 * @property {number | null} exitCode
 * @property {string} stdout
 * @property {string} stderr
 */

/**
 * @typedef {object} Started
 * @property {number} pid
 * @property {Promise<Ended>} ended
 */

/** What a command may take before it is taken for stuck, in seconds. */
const longest = 240

export class Lab {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-chaos-"))
  home = join(this.folder, "home")
  /** @type {Record<string, string>} */
  environment = {}
  /** Everything that any command printed. */
  printed = ""
  mounted = false

  /** Has the state on a small disk of its own; for root alone. */
  mountSmallDisk() {
    mkdirSync(this.home, { mode: 0o700 })
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", this.home])
    this.mounted = true
  }

  /**
   * Starts a command in a session of its own, with stdin closed.
   * @param {ReadonlyArray<string>} words
   * @returns {Started}
   */
  start(words) {
    const child = spawn(process.execPath, [executable, ...words], {
      cwd: this.folder,
      detached: true,
      env: { ...process.env, ...this.environment, SANDBOXER_HOME: this.home },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const stuck = setTimeout(() => child.kill("SIGKILL"), longest * 1000)
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
      stderr += text
    })
    return {
      pid: child.pid ?? 0,
      ended: new Promise((resolve, reject) => {
        child.once("error", reject)
        child.once("close", (exitCode) => {
          clearTimeout(stuck)
          this.printed += stdout + stderr
          resolve({ exitCode, stdout, stderr })
        })
      })
    }
  }

  /** @param {ReadonlyArray<string>} words */
  run(...words) {
    return this.start(words).ended
  }

  /** What runs in Jobs. */
  jobProcesses() {
    return processesWith(`SANDBOXER_JOB=${this.home}/`)
  }

  supervisors() {
    return processesWith(`SANDBOXER_HOME=${this.home}`).filter(({ command }) =>
      command.includes(" supervise ")
    )
  }

  /**
   * Asks the database, where there is one.
   * @template A
   * @param {(database: import("better-sqlite3").Database) => A} ask
   * @param {A} otherwise
   * @returns {A}
   */
  database(ask, otherwise) {
    const file = join(this.home, "sandboxer.db")
    if (!existsSync(file)) return otherwise
    const database = new Database(file)
    try {
      return ask(database)
    } finally {
      database.close()
    }
  }

  /** Files and folders below the state directory. */
  files() {
    return existsSync(this.home) ? readdirSync(this.home, { recursive: true, encoding: "utf8" }) : []
  }

  /** Ends what is left, and removes the folder. */
  remove() {
    for (const beginning of [`SANDBOXER_HOME=${this.home}`, `SANDBOXER_JOB=${this.home}/`]) {
      for (const { pid } of processesWith(beginning)) kill(pid, "SIGKILL")
    }
    if (this.mounted) execFileSync("umount", ["--lazy", this.home])
    // What was killed may write until it is gone.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

/** One round's state directory, the command, and the processes that run for it. */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import Database from "better-sqlite3"
import { timeLimit } from "../support/patience.js"
import { Sshd } from "../support/sshd.js"
import { Hub } from "./hub.js"
import { kill, processesCalled, processesWith } from "./processes.js"

export const root = fileURLToPath(new URL("../..", import.meta.url))
const executable = join(root, "dist/bin.js")

/** @param {number} seconds */
export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

/**
 * Files and folders below a folder.
 * @param {string} folder
 */
export const below = (folder) =>
  existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : []

/** @param {string} path */
export const isFile = (path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false

/**
 * How a command ended. A command that took too long was killed and has no exit code.
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

/** Milliseconds after which a command counts as stuck. */
const longest = 240_000

export class Lab {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-chaos-"))
  home = join(this.folder, "home")
  /** @type {Record<string, string>} */
  environment = {}
  /** The output of all commands. */
  printed = ""
  mounted = false
  /**
   * The attached machine, if any.
   * @type {Sshd | undefined}
   */
  machine
  /**
   * The State Hub, if any.
   * @type {Hub | undefined}
   */
  hub

  async startMachine() {
    this.machine = await Sshd.start()
    return this.machine
  }

  async startHub() {
    // The folder's name tells the machine's processes from those of our state directory.
    this.hub = await Hub.start(executable, join(this.folder, "hub"))
    this.environment.STATE_HUB_URL = this.hub.url
  }

  /** Puts the state on a small disk of its own. Needs root. */
  mountSmallDisk() {
    mkdirSync(this.home, { mode: 0o700 })
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", this.home])
    this.mounted = true
  }

  /**
   * Starts a command in its own session, with stdin closed.
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
    const stuck = setTimeout(() => child.kill("SIGKILL"), timeLimit(longest))
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

  /** Processes of Jobs, here and on the machine. */
  jobProcesses() {
    return this.cookies.flatMap(processesWith)
  }

  get cookies() {
    const homes = [this.home, ...(this.machine === undefined ? [] : [this.machine.home])]
    return homes.map((home) => `SANDBOXER_JOB=${home}/`)
  }

  /** Control masters of the connection to the machine. */
  masters() {
    return processesCalled(new RegExp(`^ssh: ${this.home}/ssh/\\S+ \\[mux\\]`))
  }

  /** Processes on the machine that belong to a connection, not to a Job; followers of a Job are among them. */
  asked() {
    const { machine } = this
    if (machine === undefined) return []
    const jobs = new Set(this.jobProcesses().map(({ pid }) => pid))
    return processesWith(`HOME=${machine.home}`).filter(({ pid }) => !jobs.has(pid))
  }

  supervisors() {
    return processesWith(`SANDBOXER_HOME=${this.home}`).filter(({ command }) =>
      command.includes(" supervise ")
    )
  }

  /**
   * Queries the database, if there is one.
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
    return below(this.home)
  }

  /** Ends all processes that are left. */
  async end() {
    await this.hub?.end()
    for (const beginning of [`SANDBOXER_HOME=${this.home}`, ...this.cookies]) {
      for (const { pid } of processesWith(beginning)) kill(pid, "SIGKILL")
    }
    for (const { pid } of this.masters()) kill(pid, "SIGKILL")
    await this.machine?.stop()
  }

  /** Removes the folders after every process has ended. */
  async remove() {
    await this.machine?.dispose()
    if (this.mounted) execFileSync("umount", ["--lazy", this.home])
    // A killed process may write until it is gone.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

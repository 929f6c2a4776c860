/** A state directory of its own for a round, the command in it, and what runs for it. */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import Database from "better-sqlite3"
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
  /**
   * The machine that is attached, where one is.
   * @type {Sshd | undefined}
   */
  machine
  /**
   * The State Hub that is told, where one is.
   * @type {Hub | undefined}
   */
  hub

  async startMachine() {
    this.machine = await Sshd.start()
    return this.machine
  }

  async startHub() {
    // What runs there is told from what runs with our state directory by the folder's name.
    this.hub = await Hub.start(executable, join(this.folder, "hub"))
    this.environment.STATE_HUB_URL = this.hub.url
  }

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

  /** What runs in Jobs, here and on the machine. */
  jobProcesses() {
    return this.cookies.flatMap(processesWith)
  }

  get cookies() {
    const homes = [this.home, ...(this.machine === undefined ? [] : [this.machine.home])]
    return homes.map((home) => `SANDBOXER_JOB=${home}/`)
  }

  /** Masters of the connection to the machine. */
  masters() {
    return processesCalled(new RegExp(`^ssh: ${this.home}/ssh/\\S+ \\[mux\\]`))
  }

  /** What runs on the machine for a connection, and not for a Job: who follows one is among them. */
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
    return below(this.home)
  }

  /** Ends what is left. */
  async end() {
    await this.hub?.end()
    for (const beginning of [`SANDBOXER_HOME=${this.home}`, ...this.cookies]) {
      for (const { pid } of processesWith(beginning)) kill(pid, "SIGKILL")
    }
    for (const { pid } of this.masters()) kill(pid, "SIGKILL")
    await this.machine?.stop()
  }

  /** Removes the folders, once all has ended. */
  async remove() {
    await this.machine?.dispose()
    if (this.mounted) execFileSync("umount", ["--lazy", this.home])
    // What was killed may write until it is gone.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

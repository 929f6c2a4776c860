/**
 * A real sshd of a test's, a benchmark's or the fault harness's own: on loopback, with its own keys, for whoever runs it.
 * Who logs in has a home of their own in its folder, as `SetEnv` says.
 */
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { waitFor } from "./patience.js"

/**
 * @typedef {object} SshdOptions
 * @property {string} [path] What programs are looked for in there; by default where this process looks.
 * @property {ReadonlyArray<string>} [config] Further lines of sshd_config, before ours: the first that says a thing wins.
 * @property {import("../process/network.js").Network} [network] Where it listens; by default on loopback.
 */

/**
 * A port of loopback that nobody has.
 * @returns {Promise<number>}
 */
export const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })

/**
 * A process's state and its parent, as /proc has them.
 * @param {number} pid
 */
const look = (pid) => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
    const [state = "X", parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return { lives: state !== "Z" && state !== "X", parent: Number(parent) }
  } catch {
    return { lives: false, parent: 0 }
  }
}

const pids = () =>
  fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)

const lives = (/** @type {number} */ pid) => look(pid).lives

const kill = (/** @type {number} */ pid) => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It ended by itself.
  }
}

const makeKey = (/** @type {string} */ file) => {
  fs.rmSync(file, { force: true })
  fs.rmSync(`${file}.pub`, { force: true })
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file])
}

export class Sshd {
  folder = fs.mkdtempSync(join(tmpdir(), "sandboxer-sshd-"))
  /** The home of who logs in. */
  home = join(this.folder, "there")
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #child

  /**
   * Use `Sshd.start`.
   * @param {number} port
   * @param {SshdOptions} options
   */
  constructor(port, options) {
    this.port = port
    this.options = options
  }

  /**
   * Starts one in a folder of its own.
   * @param {SshdOptions} options
   */
  static async start(options = {}) {
    const sshd = new Sshd(await freePort(), options)
    fs.mkdirSync(sshd.home)
    makeKey(sshd.file("host_key"))
    makeKey(sshd.identityFile)
    fs.copyFileSync(`${sshd.identityFile}.pub`, sshd.file("authorized_keys"))
    await sshd.start()
    return sshd
  }

  /** @param {string} name */
  file(name) {
    return join(this.folder, name)
  }

  /** The key that it lets in. */
  get identityFile() {
    return this.file("identity")
  }

  /** For a client that has to know it beforehand. */
  get knownHostsFile() {
    return this.file("known_hosts")
  }

  /** How it is reached; a configuration says the same of it, below `hosts` and a name. */
  get connection() {
    return { host: this.address, port: this.port, user: userInfo().username, identityFile: this.identityFile }
  }

  get address() {
    return this.options.network?.address ?? "127.0.0.1"
  }

  /** `SHA256:…` of the host's key. */
  get fingerprint() {
    const [, fingerprint = ""] = execFileSync("ssh-keygen", ["-lf", this.file("host_key.pub")], {
      encoding: "utf8"
    }).split(" ")
    return fingerprint
  }

  /** Starts it again after `stop`, at the same port. */
  async start() {
    // sshd asks for this folder where root starts it.
    if (process.getuid?.() === 0) fs.mkdirSync("/run/sshd", { recursive: true, mode: 0o755 })
    const environment = [`HOME=${this.home}`, `PATH=${this.options.path ?? process.env.PATH}`]
    fs.writeFileSync(
      this.file("sshd_config"),
      [
        ...(this.options.config ?? []),
        `Port ${this.port}`,
        `ListenAddress ${this.address}`,
        `HostKey ${this.file("host_key")}`,
        `AuthorizedKeysFile ${this.file("authorized_keys")}`,
        `PidFile ${this.file("sshd.pid")}`,
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin yes",
        "PrintMotd no",
        "PrintLastLog no",
        "MaxStartups 100",
        "MaxSessions 100",
        `SetEnv ${environment.map((entry) => `"${entry}"`).join(" ")}`,
        "Subsystem sftp internal-sftp",
        ""
      ].join("\n")
    )
    const key = fs.readFileSync(this.file("host_key.pub"), "utf8")
    fs.writeFileSync(this.knownHostsFile, `[${this.address}]:${this.port} ${key}`)
    const log = fs.openSync(this.file("sshd.log"), "a")
    const words = ["/usr/sbin/sshd", "-D", "-e", "-f", this.file("sshd_config")]
    const [program = "", ...args] = [...(this.options.network?.within ?? []), ...words]
    const child = spawn(program, args, { stdio: ["ignore", "ignore", log] })
    fs.closeSync(log)
    this.#child = child
    await waitFor(`sshd on port ${this.port}: ${fs.readFileSync(this.file("sshd.log"), "utf8")}`, () => {
      if (child.exitCode !== null) {
        throw new Error(`sshd ended: ${fs.readFileSync(this.file("sshd.log"), "utf8")}`)
      }
      return fs.existsSync(this.file("sshd.pid"))
    })
  }

  /**
   * Processes of sshd that hold connections.
   * @returns {ReadonlyArray<number>}
   */
  sessions() {
    const listener = this.#child?.pid
    return listener === undefined ? [] : pids().filter((pid) => look(pid).parent === listener)
  }

  /** Cuts all connections; it goes on to take new ones. What was started over them is left alone. */
  async cut() {
    const sessions = this.sessions()
    for (const pid of sessions) kill(pid)
    await waitFor("the end of sshd's connections", () => !sessions.some(lives))
  }

  /** Ends it and cuts all connections: nobody answers at the port. */
  async stop() {
    const pid = this.#child?.pid
    const sessions = this.sessions()
    if (pid !== undefined) kill(pid)
    for (const session of sessions) kill(session)
    await waitFor("the end of sshd", () => ![pid ?? 0, ...sessions].some(lives))
    fs.rmSync(this.file("sshd.pid"), { force: true })
    this.#child = undefined
  }

  /** Has another host key from now on. */
  async changeKey() {
    await this.stop()
    makeKey(this.file("host_key"))
    await this.start()
  }

  /**
   * Living processes that jobs below the home run: told by their cookie.
   * @returns {ReadonlyArray<number>}
   */
  jobProcesses() {
    return pids().filter((pid) => {
      try {
        return (
          lives(pid) &&
          fs
            .readFileSync(`/proc/${pid}/environ`, "latin1")
            .split("\0")
            .some((entry) => entry.startsWith(`SANDBOXER_JOB=${this.home}/`))
        )
      } catch {
        return false
      }
    })
  }

  /** Ends it and what its jobs left, and removes the folder. */
  async dispose() {
    await this.stop()
    for (const pid of this.jobProcesses()) kill(pid)
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

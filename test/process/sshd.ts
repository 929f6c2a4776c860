/**
 * A real sshd of a test's own: on loopback, with its own keys, for whoever runs the tests. Who logs in has a home of
 * their own in its folder, as `SetEnv` says.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import type { Connection } from "../../src/domain/Placement.js"
import { processInfo } from "../../src/Proc.js"
import type { Network } from "./network.js"

export interface SshdOptions {
  /** What programs are looked for in there; by default where this process looks. */
  readonly path?: string
  /** Further lines of sshd_config, before ours: the first that says a thing wins. */
  readonly config?: ReadonlyArray<string>
  /** Where it listens; by default on loopback. */
  readonly network?: Network
}

/** A port of loopback that nobody has. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })

const parentOf = (pid: number): number => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])
  } catch {
    return 0
  }
}

const pids = () =>
  fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)

const lives = (pid: number) => processInfo(pid)?.zombie === false

const kill = (pid: number) => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It ended by itself.
  }
}

const until = async (what: string, look: () => boolean) => {
  const deadline = Date.now() + 20_000
  while (!look()) {
    if (Date.now() > deadline) throw new Error(`waited 20 s in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const makeKey = (file: string) => {
  fs.rmSync(file, { force: true })
  fs.rmSync(`${file}.pub`, { force: true })
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file])
}

export class Sshd {
  readonly folder = fs.mkdtempSync(join(tmpdir(), "sandboxer-sshd-"))
  /** The home of who logs in. */
  readonly home = join(this.folder, "there")
  readonly port: number
  private readonly options: SshdOptions
  private child: ChildProcess | undefined

  private constructor(port: number, options: SshdOptions) {
    this.port = port
    this.options = options
  }

  /** Starts one in a folder of its own. */
  static async start(options: SshdOptions = {}): Promise<Sshd> {
    const sshd = new Sshd(await freePort(), options)
    fs.mkdirSync(sshd.home)
    makeKey(sshd.file("host_key"))
    makeKey(sshd.identityFile)
    fs.copyFileSync(`${sshd.identityFile}.pub`, sshd.file("authorized_keys"))
    await sshd.start()
    return sshd
  }

  file(name: string): string {
    return join(this.folder, name)
  }

  /** The key that it lets in. */
  get identityFile(): string {
    return this.file("identity")
  }

  get connection(): Connection {
    return { host: this.address, port: this.port, user: userInfo().username, identityFile: this.identityFile }
  }

  private get address(): string {
    return this.options.network?.address ?? "127.0.0.1"
  }

  /** What a configuration says of it, below `hosts` and a name. */
  get settings() {
    const { host, identityFile, port, user } = this.connection
    return { host, port, user, identityFile }
  }

  /** `SHA256:…` of the host's key. */
  get fingerprint(): string {
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
    const log = fs.openSync(this.file("sshd.log"), "a")
    const words = ["/usr/sbin/sshd", "-D", "-e", "-f", this.file("sshd_config")]
    const [program = "", ...args] = [...(this.options.network?.within ?? []), ...words]
    const child = spawn(program, args, { stdio: ["ignore", "ignore", log] })
    fs.closeSync(log)
    this.child = child
    await until(`sshd on port ${this.port}: ${fs.readFileSync(this.file("sshd.log"), "utf8")}`, () => {
      if (child.exitCode !== null) {
        throw new Error(`sshd ended: ${fs.readFileSync(this.file("sshd.log"), "utf8")}`)
      }
      return fs.existsSync(this.file("sshd.pid"))
    })
  }

  /** Processes of sshd that hold connections. */
  sessions(): ReadonlyArray<number> {
    const listener = this.child?.pid
    return listener === undefined ? [] : pids().filter((pid) => parentOf(pid) === listener)
  }

  /** Cuts all connections; it goes on to take new ones. What was started over them is left alone. */
  async cut() {
    const sessions = this.sessions()
    for (const pid of sessions) kill(pid)
    await until("the end of sshd's connections", () => !sessions.some(lives))
  }

  /** Ends it and cuts all connections: nobody answers at the port. */
  async stop() {
    const pid = this.child?.pid
    const sessions = this.sessions()
    if (pid !== undefined) kill(pid)
    for (const session of sessions) kill(session)
    await until("the end of sshd", () => ![pid ?? 0, ...sessions].some(lives))
    fs.rmSync(this.file("sshd.pid"), { force: true })
    this.child = undefined
  }

  /** Has another host key from now on. */
  async changeKey() {
    await this.stop()
    makeKey(this.file("host_key"))
    await this.start()
  }

  /** Living processes that jobs below the home run: told by their cookie. */
  jobProcesses(): ReadonlyArray<number> {
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

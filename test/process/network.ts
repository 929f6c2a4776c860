/** A network of a test's own between this machine and a namespace, whose link can be cut. Only root can have one. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { waitFor } from "../support/patience.js"

const ip = (...args: ReadonlyArray<string>) =>
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] })

export class Network {
  private readonly holder: ChildProcess
  /** The address of a listener in the namespace. */
  readonly address: string
  private readonly near: string
  private readonly far = "far"

  private constructor(holder: ChildProcess) {
    // Of 198.18.0.0/15, which is for tests of networks: 16,384 pairs.
    const pair = process.pid % 16_384
    const prefix = `198.18.${pair >> 6}`
    const first = (pair & 63) * 4
    this.holder = holder
    this.near = `sbx${process.pid}`
    this.address = `${prefix}.${first + 2}`
    const pid = String(holder.pid)
    ip("link", "add", this.near, "type", "veth", "peer", "name", this.far, "netns", pid)
    ip("address", "add", `${prefix}.${first + 1}/30`, "dev", this.near)
    ip("link", "set", "dev", this.near, "up")
    this.inside("ip", "address", "add", `${this.address}/30`, "dev", this.far)
    this.up()
  }

  /** Makes one; or says why that cannot be done here. */
  static async make(): Promise<Network | string> {
    // It ends with this process, however that ends, and the namespace and its link with it.
    const holder = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "ignore", "ignore"] })
    const started = await new Promise((resolve) => {
      holder.once("spawn", () => resolve(true))
      holder.once("error", () => resolve(false))
    })
    try {
      if (!started) throw new Error("there is no unshare")
      const own = fs.readlinkSync("/proc/self/ns/net")
      await waitFor("a network namespace", () => {
        if (holder.exitCode !== null) throw new Error("it is not allowed")
        return fs.readlinkSync(`/proc/${holder.pid}/ns/net`) !== own
      })
      return new Network(holder)
    } catch (error) {
      holder.kill("SIGKILL")
      return `no network namespace can be made here: ${error instanceof Error ? error.message : error}`
    }
  }

  /** Words before those of a program that is to run in the namespace. */
  get within(): ReadonlyArray<string> {
    return ["nsenter", `--net=/proc/${this.holder.pid}/ns/net`, "--"]
  }

  private inside(...words: ReadonlyArray<string>) {
    const [program = "", ...args] = [...this.within, ...words]
    execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] })
  }

  /** All that is sent, either way, is lost from now on; nobody is told. */
  down() {
    this.inside("ip", "link", "set", "dev", this.far, "down")
  }

  up() {
    this.inside("ip", "link", "set", "dev", this.far, "up")
  }

  /** Cuts the network of everything that runs in it. */
  dispose() {
    // With one end goes the other.
    ip("link", "delete", this.near)
    this.holder.kill("SIGKILL")
  }
}

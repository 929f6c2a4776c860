/** A State Hub for one round: `sandboxer hub serve`, which can be killed, stopped, and restarted on its port. */
import { spawn } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { kill } from "./processes.js"

export class Hub {
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #child
  /** 0 at first: any free port. */
  #port = "0"

  /**
   * Use `Hub.start`.
   * @param {string} executable
   * @param {string} home its state directory
   */
  constructor(executable, home) {
    this.executable = executable
    this.home = home
  }

  /**
   * @param {string} executable
   * @param {string} home
   */
  static async start(executable, home) {
    mkdirSync(home, { mode: 0o700 })
    const hub = new Hub(executable, home)
    await hub.start()
    return hub
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Starts it again after `end`; resolves once it listens. */
  async start() {
    const child = spawn(
      process.execPath,
      [this.executable, "hub", "serve", "--port", this.#port, "--database", join(this.home, "hub.db")],
      { env: { ...process.env, SANDBOXER_HOME: this.home }, stdio: ["ignore", "pipe", "ignore"] }
    )
    this.#child = child
    this.#port = await new Promise((resolve, reject) => {
      let printed = ""
      child.once("exit", () => reject(new Error("the hub ended")))
      child.stdout.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
        printed += text
        const url = /^http:\S+:(\d+)\/?\n/.exec(printed)
        if (url?.[1] !== undefined) resolve(url[1])
      })
    })
  }

  /** @param {NodeJS.Signals} signal */
  signal(signal) {
    if (this.#child?.pid !== undefined) kill(this.#child.pid, signal)
  }

  /** Ends it by kill -9. */
  async end() {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once("exit", resolve))
    child.kill("SIGKILL")
    await ended
  }

  /**
   * The ids of the notes of a sandbox that it has, as they came.
   * @param {string} sandbox
   * @returns {Promise<ReadonlyArray<string>>}
   */
  async notes(sandbox) {
    const answer = await fetch(`${this.url}/notes?limit=1000&sandbox=${sandbox}`)
    const { items } = /** @type {{ items: ReadonlyArray<{ id: string }> }} */ (await answer.json())
    return items.map(({ id }) => id)
  }
}

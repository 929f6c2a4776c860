/** A state directory of its own for each test, with stand-ins for Packer and qemu-img on the PATH. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, it as test } from "@effect/vitest"
import type { Event } from "../../src/domain/events/Event.js"
import type { Sandbox } from "../../src/domain/Sandbox.js"
import { processInfo } from "../../src/internal/Proc.js"
import { makeWorkbench } from "../e2e/harness.js"
import { waitFor } from "../support/patience.js"
import type { settings } from "./standin/common.js"
import { lives } from "./until.js"

const executable = fileURLToPath(new URL("../../dist/bin.js", import.meta.url))
const standins = fileURLToPath(new URL("standin/", import.meta.url))

/** What the command prints as JSON. */
export type SandboxJson = typeof Sandbox.Encoded
export type EventJson = Omit<typeof Event.Encoded, "data"> & {
  readonly data: Readonly<Record<string, unknown>>
}

export interface Ended {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that was started: what it printed so far, and how it ends. */
export interface Started {
  readonly pid: number
  /** Waits until it has printed this, on either of its outputs. */
  readonly printed: (text: string) => Promise<void>
  /** What it printed so far, as data. */
  readonly stdout: () => string
  readonly ended: Promise<Ended>
}

/** How a `create` ended, and the sandbox that it printed. */
export interface Outcome {
  readonly exitCode: number | null
  readonly stderr: string
  readonly sandbox: SandboxJson
}

export interface Creating extends Started {
  readonly outcome: () => Promise<Outcome>
}

/** How a stand-in was started. */
interface Call {
  readonly program: "packer" | "qemu-img"
  readonly args: ReadonlyArray<string>
  readonly pid: number
}

/** What a program of this machine prints that is to end well. */
export const output = (program: string, args: ReadonlyArray<string>, cwd?: string): string =>
  execFileSync(program, args, { encoding: "utf8", cwd })

export class Lab {
  private readonly bench = makeWorkbench()
  readonly folder = this.bench.folder
  readonly home = this.bench.home
  readonly artifacts = join(this.home, "artifacts")
  readonly template = join(this.folder, "template", "tiny.json")
  private readonly standin = join(this.folder, "standin")
  private readonly bin = join(this.folder, "bin")
  private readonly children: Array<ChildProcess> = []

  constructor() {
    for (const folder of ["bin", "profiles", "standin/guest", "standin/held", "standin/holds"]) {
      fs.mkdirSync(join(this.folder, folder), { recursive: true })
    }
    for (const program of ["packer", "qemu-img"]) {
      this.script(join("bin", program), `exec '${process.execPath}' '${standins}${program}.js' "$@"`)
    }
    this.speak({ version: "1.6.6" })
    this.write("template/tiny.json", { variables: { output_directory: "output-tiny", vm_name: "tiny" } })
    this.profile({})
  }

  /** Writes a file below the lab's folder, as JSON where it is no text. */
  write(name: string, content: string | object) {
    const file = join(this.folder, name)
    fs.mkdirSync(join(file, ".."), { recursive: true })
    fs.writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content))
    return file
  }

  /** Writes a program of sh below the lab's folder. */
  script(name: string, body: string) {
    fs.chmodSync(this.write(name, `#!/bin/sh\n${body}\n`), 0o755)
  }

  /** The profile `profile.tiny`, with further keys; it is YAML, and so is JSON. */
  profile({ inputs, ...keys }: { readonly inputs?: object; readonly [key: string]: unknown }) {
    this.write("profiles/tiny.yaml", {
      id: "profile.tiny",
      extension: "ext.vm-packer",
      mode: "build",
      inputs: { packer_template: { default: this.template }, format: { default: "as-built" }, ...inputs },
      ...keys
    })
  }

  /** How the stand-in for Packer is to behave. */
  speak(how: typeof settings) {
    this.write("standin/settings.json", how)
  }

  /** What the guest prints, a piece at a time: behind each is a place called `guest 1`, `guest 2`, …. */
  guestPrints(...pieces: ReadonlyArray<string | Uint8Array>) {
    for (const [index, piece] of pieces.entries()) {
      fs.writeFileSync(join(this.standin, "guest", String(index + 1)), piece)
    }
  }

  get env(): Record<string, string> {
    return {
      PATH: `${this.bin}:${process.env.PATH}`,
      HOME: this.folder,
      LANG: "C.UTF-8",
      SANDBOXER_HOME: this.home,
      STANDIN: this.standin
    }
  }

  /** Starts a command of sandboxer, in the lab's folder, with nothing to read. */
  start(args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Started {
    return this.startProgram(process.execPath, [executable, ...args], env).started
  }

  /** As `start`, by another program, to which what it is to run is given as further arguments. */
  startBy([program = "", ...words]: ReadonlyArray<string>, args: ReadonlyArray<string>): Started {
    return this.startProgram(program, [...words, process.execPath, executable, ...args], {}).started
  }

  /** As `start`, with this to read. */
  startReading(input: string | Uint8Array, args: ReadonlyArray<string>): Started {
    const { child, started } = this.startProgram(process.execPath, [executable, ...args], {}, "pipe")
    child.stdin?.on("error", () => {}).end(input)
    return started
  }

  /** As `start`, on a terminal of its own, whose output is stdout; by way of a program that runs others. */
  startOnTerminal(
    args: ReadonlyArray<string>,
    env: Readonly<Record<string, string>> = {},
    by: ReadonlyArray<string> = []
  ): Started {
    return this.onTerminal(args, env, by, "ignore").started
  }

  /** As `startOnTerminal`, for somebody who types; the terminal has 91 columns and 23 rows. */
  startTyping(args: ReadonlyArray<string>): Started & { readonly type: (text: string) => void } {
    const { child, started } = this.onTerminal(args, {}, [], "pipe")
    return { ...started, type: (text) => void child.stdin?.write(text) }
  }

  private onTerminal(
    args: ReadonlyArray<string>,
    env: Readonly<Record<string, string>>,
    by: ReadonlyArray<string>,
    stdin: "ignore" | "pipe"
  ) {
    // script(1) would run a SHELL of its own environment.
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    const line = ["env", ...variables, ...by, process.execPath, executable, ...args]
      .map((word) => `'${word}'`)
      .join(" ")
    const sized = `stty cols 91 rows 23; exec ${line}`
    return this.startProgram("script", ["-qefc", sized, "/dev/null"], { TERM: "xterm" }, stdin)
  }

  private startProgram(
    program: string,
    args: ReadonlyArray<string>,
    env: Readonly<Record<string, string>>,
    stdin: "ignore" | "pipe" = "ignore"
  ) {
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { ...this.env, ...env },
      stdio: [stdin, "pipe", "pipe"]
    })
    this.children.push(child)
    const collected = { stdout: "", stderr: "" }
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        collected[name] += text
      })
    }
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once("error", reject)
      child.once("close", (exitCode, signal) => resolve({ exitCode, signal, ...collected }))
    })
    const printed = async (text: string) => {
      await waitFor(`${text} of ${args.join(" ")}`, () =>
        `${collected.stdout}${collected.stderr}`.includes(text)
      )
    }
    const stdout = () => collected.stdout
    return { child, started: { pid: child.pid ?? 0, printed, stdout, ended } }
  }

  run(args: ReadonlyArray<string>): Promise<Ended> {
    return this.start(args).ended
  }

  /** What a command that ends well prints as JSON. */
  async json<A>(...args: ReadonlyArray<string>): Promise<A> {
    const { exitCode, stderr, stdout } = await this.run([...args, "-o", "json"])
    expect(exitCode, stderr).toBe(0)
    return JSON.parse(stdout) as A
  }

  /** Starts `create --profile profile.tiny -i vm_name=NAME`, and follows it. */
  create(name: string, ...args: ReadonlyArray<string>): Creating {
    return this.creating({}, "-i", `vm_name=${name}`, ...args)
  }

  /** As `create`, with further variables in the environment. */
  creating(env: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>): Creating {
    const started = this.start(["create", "--profile", "profile.tiny", "-o", "json", ...args], env)
    const outcome = async () => {
      const { exitCode, stderr, stdout } = await started.ended
      expect(stdout, stderr).not.toBe("")
      return { exitCode, stderr, sandbox: JSON.parse(stdout) as SandboxJson }
    }
    return { ...started, outcome }
  }

  /** As `create`, to its end, which is a good one. */
  async created(name: string, ...args: ReadonlyArray<string>): Promise<SandboxJson> {
    const { exitCode, sandbox, stderr } = await this.create(name, ...args).outcome()
    expect(exitCode, stderr).toBe(0)
    return sandbox
  }

  show(name: string): Promise<SandboxJson> {
    return this.json("show", name)
  }

  async events(name: string): Promise<ReadonlyArray<EventJson>> {
    return (await this.json<{ items: ReadonlyArray<EventJson> }>("events", name)).items
  }

  log({ logPath }: SandboxJson): string {
    return fs.readFileSync(logPath!, "utf8")
  }

  /** Has a stand-in stop, once, where it comes to a place with this text in its name (see standin/common.js). */
  hold(place: string) {
    fs.writeFileSync(join(this.standin, "holds", encodeURIComponent(place)), "")
  }

  async held(place: string) {
    const file = join(this.standin, "held", encodeURIComponent(place))
    await waitFor(`a stand-in at ${place}`, () => fs.existsSync(file))
  }

  release(place: string) {
    fs.rmSync(join(this.standin, "held", encodeURIComponent(place)))
  }

  /** How often a stand-in was started, and how. */
  calls(program: Call["program"], verb: string): ReadonlyArray<Call> {
    const file = join(this.standin, "calls")
    return (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Call)
      .filter((call) => call.program === program && call.args[0] === verb)
  }

  /** The supervisor that is at work, once there is one. */
  supervisor(): Promise<number> {
    return waitFor("a supervisor", () => this.bench.supervisors()[0]?.pid)
  }

  /** Ends a process as a crash does, and waits until it is gone. */
  async crash(pid: number) {
    if (lives(pid)) process.kill(pid, "SIGKILL")
    await waitFor(`the end of process ${pid}`, () => !lives(pid))
  }

  /** Ends everything that jobs run at one blow, by their groups: those who wait for it, too. */
  async crashJobs() {
    const pids = this.bench.jobProcesses().map(({ pid }) => pid)
    const groups = new Set(pids.flatMap((pid) => processInfo(pid)?.group ?? []))
    for (const group of groups) process.kill(-group, "SIGKILL")
    await waitFor("the end of all jobs", () => !pids.some(lives))
  }

  signal(pid: number, signal: NodeJS.Signals) {
    process.kill(pid, signal)
  }

  /** What jobs run, by the command lines; or what of it is this program. */
  jobCommands(program = ""): ReadonlyArray<string> {
    return this.bench
      .jobProcesses()
      .map(({ command }) => command)
      .filter((command) => command.startsWith(program))
  }

  /** Commands of this state directory with this in their words. */
  commands(words: string): ReadonlyArray<{ readonly pid: number }> {
    return this.bench.commands().filter(({ command }) => command.includes(`bin.js${words}`))
  }

  /** Files below a folder, by their names from there on. */
  files(folder: string): ReadonlyArray<string> {
    return fs.existsSync(folder)
      ? fs
          .readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => !entry.isDirectory())
          .map((entry) => join(entry.parentPath, entry.name).slice(folder.length))
      : []
  }

  /** What is left of a sandbox that ended without an image: nothing that runs, no folder, no file. */
  expectNothingLeft(id: string) {
    expect(this.jobCommands()).toEqual([])
    expect(fs.existsSync(join(this.home, "jobs", id))).toBe(false)
    expect(this.files(this.artifacts).filter((name) => name.includes(id))).toEqual([])
  }

  /** Waits until no supervisor is at work: one that has said its last word is still on its way out. */
  async quiet() {
    await waitFor("the end of the supervisor", () => this.bench.supervisors().length === 0)
  }

  /** Ends what still runs, and removes the folder; fails where a job left a process. */
  async dispose() {
    const left = this.jobCommands()
    // Where a test failed, there may be no end to wait for.
    if (left.length === 0) await this.quiet()
    for (const child of this.children) child.kill("SIGKILL")
    this.bench.remove()
    expect(left, "what jobs left behind").toEqual([])
  }
}

/** A test with a lab. */
export const it = test.extend<{ lab: Lab }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads which fixtures it uses off the pattern
  lab: async ({}, use) => {
    const lab = new Lab()
    await use(lab)
    await lab.dispose()
  }
})

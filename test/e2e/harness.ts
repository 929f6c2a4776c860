/** What tests with the real command share: a state directory of their own, and what runs for it on this machine. */
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Schema from "effect/Schema"
import { Event } from "../../src/domain/events/Event.js"
import { Sandbox } from "../../src/domain/Sandbox.js"

export const root = fileURLToPath(new URL("../..", import.meta.url))

export interface Output {
  /** Null where a signal ended it. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly kill: (signal: NodeJS.Signals) => void
  readonly ended: Promise<Output>
}

export interface RunOptions {
  readonly cwd?: string
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** Starts a program with stdin closed. */
export const start = (program: string, args: ReadonlyArray<string>, options: RunOptions = {}): Running => {
  const child = spawn(program, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"]
  })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  return {
    kill: (signal) => void child.kill(signal),
    ended: new Promise((resolve, reject) => {
      child.once("error", reject)
      child.once("close", (exitCode) => resolve({ exitCode, stdout, stderr }))
    })
  }
}

export const run = (program: string, args: ReadonlyArray<string>, options?: RunOptions): Promise<Output> =>
  start(program, args, options).ended

const read = (file: string): string => {
  try {
    return readFileSync(file, "latin1")
  } catch {
    // It is gone, or another user's.
    return ""
  }
}

export interface Process {
  readonly pid: number
  readonly command: string
}

/** Living processes (zombies aside) with an entry in their environment that begins so: `NAME=value…`. */
const processesWith = (beginning: string): ReadonlyArray<Process> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) =>
      read(`/proc/${pid}/environ`)
        .split("\0")
        .some((entry) => entry.startsWith(beginning))
    )
    .filter((pid) => !/^\d+ \(.*\) [ZX] /s.test(read(`/proc/${pid}/stat`)))
    .map((pid) => ({ pid: Number(pid), command: read(`/proc/${pid}/cmdline`).split("\0").join(" ") }))

const decodeSandbox = Schema.decodeUnknownSync(Sandbox)
const decodeEvents = Schema.decodeUnknownSync(Schema.Struct({ items: Schema.Array(Event) }))

/** Decodes the one JSON document that a command printed. */
export const sandboxOf = ({ stdout }: Output): Sandbox => decodeSandbox(JSON.parse(stdout))

/** A state directory, the `sandboxer` command in it, and what runs for it. */
export const makeWorkbench = () => {
  const folder = mkdtempSync(join(tmpdir(), "sandboxer-e2e-"))
  const home = join(folder, "home")
  const executable = join(root, "dist/bin.js")
  const command = (args: ReadonlyArray<string>, options: RunOptions = {}) =>
    start(process.execPath, [executable, ...args], {
      ...options,
      env: { ...options.env, SANDBOXER_HOME: home }
    })
  const sandboxer = (args: ReadonlyArray<string>, options?: RunOptions) => command(args, options).ended
  return {
    /** A folder for whatever a test needs; the state directory is in it. */
    folder,
    home,
    /** Starts the command. */
    start: command,
    /** Runs the command to its end. */
    sandboxer,
    show: async (name: string) => sandboxOf(await sandboxer(["show", name, "-o", "json"])),
    events: async (name: string) =>
      decodeEvents(JSON.parse((await sandboxer(["events", name, "-o", "json"])).stdout)).items,
    /** What Jobs of this state directory run: told by their cookie, wherever they were moved to. */
    jobProcesses: () => processesWith(`SANDBOXER_JOB=${home}/`),
    /** What runs with this state directory. */
    commands: () => processesWith(`SANDBOXER_HOME=${home}`),
    supervisors: () =>
      processesWith(`SANDBOXER_HOME=${home}`).filter(({ command: words }) => words.includes(" supervise ")),
    /** Kills what is left, and removes the folder. */
    remove: () => {
      for (const { pid } of processesWith(`SANDBOXER_HOME=${home}`)) {
        try {
          process.kill(pid, "SIGKILL")
        } catch {
          // It ended by itself.
        }
      }
      // What was killed may write until it is gone.
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
}
export type Workbench = ReturnType<typeof makeWorkbench>

/** Child processes: the one module that starts any. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** @category errors */
export class ProcessError extends Schema.TaggedError<ProcessError>("sandboxer/ProcessError")("ProcessError", {
  reason: Schema.Literal("not-found", "not-permitted", "timeout", "other"),
  program: Schema.String,
  message: Schema.String
}) {}

export interface ProcessCommand {
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly cwd?: string
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
}

export interface ProcessResult {
  /** 128 + n where signal n ended it, as a shell has it. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

const kept = 1024 * 1024

const processError = (program: string) => (cause: NodeJS.ErrnoException) =>
  new ProcessError({
    reason: cause.code === "ENOENT" ? "not-found" : cause.code === "EACCES" ? "not-permitted" : "other",
    program,
    message: `${program}: ${cause.message}`
  })

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15
}

const exitCodeOf = (code: number | null, signal: NodeJS.Signals | null): number =>
  code ?? 128 + (signal === null ? 0 : (signalNumbers[signal] ?? 0))

const start = (command: ProcessCommand, options: SpawnOptions): ChildProcess =>
  spawn(command.program, [...command.args], {
    ...options,
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    env: { ...process.env, ...command.env }
  })

/** Signals a process, or with a negative number a group; one that is gone already is no error. */
export const signal = (pid: number, name: NodeJS.Signals): Effect.Effect<void> =>
  Effect.sync(() => {
    try {
      process.kill(pid, name)
    } catch {
      // It ended by itself: that is what was wanted.
    }
  })

// TERM first; what does not end within two seconds is killed with its group.
const end = (child: ChildProcess, exited: Effect.Effect<unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const pid = child.pid
    if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return Effect.void
    return signal(-pid, "SIGTERM").pipe(
      Effect.zipRight(Effect.interruptible(exited).pipe(Effect.timeoutOption(Duration.seconds(2)))),
      Effect.zipRight(signal(-pid, "SIGKILL"))
    )
  })

/**
 * Runs a command to its end with stdin closed and keeps the first MiB of each output. Interruption and the timeout
 * end the process and what it started.
 */
export const run = (
  command: ProcessCommand,
  options: { readonly timeoutSeconds?: number } = {}
): Effect.Effect<ProcessResult, ProcessError> => {
  const running = Effect.async<ProcessResult, ProcessError>((resume) => {
    const child = start(command, { detached: true, stdio: ["ignore", "pipe", "pipe"] })
    const collect = (name: "stdout" | "stderr") => {
      const chunks: Array<Buffer> = []
      let size = 0
      // Read to the end whatever is kept: a child whose output nobody reads stops.
      child[name]?.on("data", (chunk: Buffer) => {
        if (size < kept) chunks.push(chunk.subarray(0, kept - size))
        size += chunk.length
      })
      return () => Buffer.concat(chunks).toString("utf8")
    }
    const stdout = collect("stdout")
    const stderr = collect("stderr")
    child.once("error", (cause: NodeJS.ErrnoException) =>
      resume(Effect.fail(processError(command.program)(cause)))
    )
    child.once("close", (code, by) =>
      resume(Effect.succeed({ exitCode: exitCodeOf(code, by), stdout: stdout(), stderr: stderr() }))
    )
    return end(
      child,
      Effect.async<void>((ended) => void child.once("exit", () => ended(Effect.void)))
    )
  })
  return options.timeoutSeconds === undefined
    ? running
    : Effect.timeoutFail(running, {
        duration: Duration.seconds(options.timeoutSeconds),
        onTimeout: () =>
          new ProcessError({
            reason: "timeout",
            program: command.program,
            message: `${command.program} did not end within ${options.timeoutSeconds} s`
          })
      })
}

/** Starts a process that goes on when this one ends: in a session of its own, with no descriptor of this one. */
export const detach = (command: ProcessCommand): Effect.Effect<number, ProcessError> =>
  Effect.async((resume) => {
    const child = start(command, { detached: true, stdio: "ignore" })
    child.once("error", (cause: NodeJS.ErrnoException) =>
      resume(Effect.fail(processError(command.program)(cause)))
    )
    child.once("spawn", () => {
      child.unref()
      resume(Effect.succeed(child.pid ?? 0))
    })
  })

/** Child processes. Only this module starts any. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { Socket } from "node:net"
import { constants } from "node:os"
import type { Readable } from "node:stream"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describeError, errorKind } from "../domain/ErrorKind.js"

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
  /** 128 + n if signal n ended it, as in a shell. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Limits of child processes. */
export interface ProcessLimits {
  /** From SIGTERM to SIGKILL. */
  readonly killGrace: Duration.Duration
  /** Bytes kept of each output. */
  readonly outputBytes: number
}

const processReason = (cause: unknown): ProcessError["reason"] => {
  const kind = errorKind(cause)
  return kind === "not-found" || kind === "not-permitted" ? kind : "other"
}

const processError = ({ cwd, program }: ProcessCommand, cause: unknown) =>
  // A missing working directory is ENOENT, too.
  cwd !== undefined && !existsSync(cwd)
    ? new ProcessError({
        reason: "other",
        program,
        message: `${program} cannot be started in ${cwd}: there is no such folder`
      })
    : new ProcessError({
        reason: processReason(cause),
        program,
        message: `${program}: ${describeError(cause)}`
      })

const exitCodeOf = (code: number | null, signal: NodeJS.Signals | null): number =>
  code ?? 128 + (signal === null ? 0 : constants.signals[signal])

/** The environment that children inherit: without the State Hub's token, which only supervisors get. */
const inherited = (): NodeJS.ProcessEnv => {
  const { STATE_HUB_TOKEN: _, ...environment } = process.env
  return environment
}

const start = (command: ProcessCommand, options: SpawnOptions): ChildProcess =>
  spawn(command.program, [...command.args], {
    ...options,
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    env: { ...inherited(), ...command.env }
  })

/** Starts a child. Node throws some errors at once and emits others later. */
const started = <A>(
  command: ProcessCommand,
  options: SpawnOptions,
  watch: (child: ChildProcess, resume: (effect: Effect.Effect<A>) => void) => Effect.Effect<void> | undefined
): Effect.Effect<A, ProcessError> =>
  Effect.async((resume) => {
    const failed = (cause: unknown) => resume(Effect.fail(processError(command, cause)))
    try {
      const child = start(command, options)
      child.once("error", failed)
      return watch(child, resume)
    } catch (cause) {
      return failed(cause)
    }
  })

/** Signals a process, or with a negative number a group. A process that is gone is no error. */
export const signal = (pid: number, name: NodeJS.Signals): Effect.Effect<void> =>
  Effect.sync(() => {
    try {
      process.kill(pid, name)
    } catch {
      // It ended by itself: that is what was wanted.
    }
  })

// TERM first, then KILL after the grace period, to the whole group: the child's children may outlive it.
const end = (child: ChildProcess, { killGrace }: ProcessLimits): Effect.Effect<void> =>
  Effect.suspend(() => {
    const pid = child.pid
    if (pid === undefined) return Effect.void
    const closed = Effect.async<void>((resume) => void child.once("close", () => resume(Effect.void)))
    return signal(-pid, "SIGTERM").pipe(
      Effect.zipRight(Effect.interruptible(closed).pipe(Effect.timeoutOption(killGrace))),
      Effect.zipRight(signal(-pid, "SIGKILL")),
      Effect.zipRight(
        Effect.sync(() => {
          // A process that left the group may still hold the pipes, which would keep this program from ending.
          child.stdout?.destroy()
          child.stderr?.destroy()
        })
      )
    )
  })

/** A child that is read while it runs. */
export interface PipedProcess {
  /** Its output, at the speed of the reader. */
  readonly stdout: Stream.Stream<Uint8Array>
  /** How it ended. All of stdout must be read before. `tail` has the last characters of stderr. */
  readonly ended: Effect.Effect<Omit<ProcessResult, "stdout"> & { readonly tail: string }>
}

const tailLength = 4096
/** Bytes for what a login shell and our marks print around the output. */
const around = 4096

/** Collects a child's output: a number of bytes from its beginning, and its last bytes on request. */
const collect = (
  readable: Readable | null,
  most: number,
  { last = 0, look = () => {} }: { last?: number; look?: (tail: Buffer) => void } = {}
) => {
  const chunks: Array<Buffer> = []
  let size = 0
  let tail = Buffer.alloc(0)
  // Read everything, even what is not kept: a child whose output nobody reads blocks.
  const take = (chunk: Buffer) => {
    if (size < most) chunks.push(chunk.subarray(0, most - size))
    size += chunk.length
    if (last === 0) return
    tail = Buffer.concat([tail, chunk])
    look(tail)
    tail = tail.subarray(-last)
  }
  readable?.on("data", take)
  return {
    all: () => Buffer.concat(chunks),
    tail: () => tail.toString("utf8"),
    leave: () => readable?.off("data", take)
  }
}

/** The next piece. Node's async iterator could not be interrupted while it waits. */
const piece = (readable: Readable): Effect.Effect<Uint8Array, Option.Option<never>> =>
  Effect.async((resume) => {
    const events = ["readable", "end", "close", "error"] as const
    const leave = () => {
      for (const event of events) readable.off(event, look)
    }
    const look = () => {
      const chunk: Buffer | null = readable.read()
      if (chunk === null && !readable.readableEnded && !readable.destroyed) return
      leave()
      resume(chunk === null ? Effect.fail(Option.none()) : Effect.succeed(chunk))
    }
    for (const event of events) readable.on(event, look)
    look()
    return Effect.sync(leave)
  })

/** Writes a command's stdin, and closes it unless it must stay open (`held`). */
interface Input {
  readonly input: string
  readonly held: boolean
}

const give = ({ stdin }: ChildProcess, { held, input }: Input) => {
  // A command may end without reading everything; its exit code says whether that is an error.
  stdin?.on("error", () => undefined)
  stdin?.write(input)
  if (!held) stdin?.end()
}

/**
 * Starts a command that reads `input`; it ends with the scope. With `leaves`, what it started and left may have its stderr
 * a little longer, which is waited for where it failed alone.
 */
export const piped = (
  command: ProcessCommand,
  limits: ProcessLimits,
  { leaves = false, ...options }: Input & { readonly leaves?: boolean }
): Effect.Effect<PipedProcess, ProcessError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      started<{
        readonly child: ChildProcess
        readonly ended: PipedProcess["ended"]
        readonly isOver: () => boolean
      }>(command, { detached: true, stdio: ["pipe", "pipe", "pipe"] }, (child, resume) => {
        const stderr = collect(child.stderr, limits.outputBytes, { last: tailLength })
        give(child, options)
        let isOver = false
        const over = new Promise<number>((resolve) => {
          const tell = (code: number | null, by: NodeJS.Signals | null) => {
            isOver = true
            resolve(exitCodeOf(code, by))
          }
          child.once("close", tell)
          if (leaves) child.once("exit", (code, by) => code === 0 && tell(code, by))
        })
        const ended = Effect.map(
          Effect.promise(() => over),
          (exitCode) => ({
            exitCode,
            stderr: stderr.all().toString("utf8"),
            tail: stderr.tail()
          })
        )
        child.once("spawn", () => resume(Effect.succeed({ child, ended, isOver: () => isOver })))
        return undefined
      }),
      ({ child, isOver }) => {
        const hasEnded = child.exitCode !== null || child.signalCode !== null
        if (!hasEnded || (leaves && !isOver())) return end(child, limits)
        // Nobody reads it from here on.
        return leaves ? Effect.sync(() => void child.stderr?.destroy()) : Effect.void
      }
    ),
    ({ child, ended }) => ({
      stdout: child.stdout === null ? Stream.empty : Stream.repeatEffectOption(piece(child.stdout)),
      ended
    })
  )

/**
 * Runs a command to its end, with `input` as its stdin or with stdin closed. Returns slightly more of stdout than `outputBytes`.
 * Interruption ends the process and its children.
 */
export const converse = (
  command: ProcessCommand,
  limits: ProcessLimits,
  options?: Input
): Effect.Effect<
  Omit<ProcessResult, "stdout"> & { readonly stdout: Buffer; readonly tail: string },
  ProcessError
> =>
  started(
    command,
    { detached: true, stdio: [options === undefined ? "ignore" : "pipe", "pipe", "pipe"] },
    (child, resume) => {
      const stdout = collect(child.stdout, limits.outputBytes + around)
      const stderr = collect(child.stderr, limits.outputBytes, { last: tailLength })
      if (options !== undefined) give(child, options)
      child.once("close", (code, by) =>
        resume(
          Effect.succeed({
            exitCode: exitCodeOf(code, by),
            stdout: stdout.all(),
            stderr: stderr.all().toString("utf8"),
            tail: stderr.tail()
          })
        )
      )
      return end(child, limits)
    }
  )

/** The output up to the mark. `isWhole` is false if the child ended before it printed the mark. */
export interface Exchange {
  readonly isWhole: boolean
  readonly stdout: Buffer
  readonly stderr: string
  /** The last characters of stderr. */
  readonly tail: string
}

/** A child that answers one question after another. While idle it does not keep this program from ending. */
export interface Answering {
  readonly lives: () => boolean
  /** Writes `input`, and returns the output up to the mark on both streams. Interruption ends the child. */
  readonly exchange: (input: string, mark: string) => Effect.Effect<Exchange>
  /** Ends it by closing its stdin. */
  readonly leave: () => void
}

/** Starts a command that answers what it reads. */
export const answering = (
  command: ProcessCommand,
  limits: ProcessLimits
): Effect.Effect<Answering, ProcessError> =>
  started(command, { detached: true, stdio: ["pipe", "pipe", "pipe"] }, (child, resume) => {
    let isClosed = false
    child.once("close", () => {
      isClosed = true
    })
    // What it thinks of its end it says by that.
    child.stdin?.on("error", () => undefined)
    const handles = [child, child.stdin, child.stdout, child.stderr].filter(
      (one): one is ChildProcess | Socket => one === child || one instanceof Socket
    )
    const exchange: Answering["exchange"] = (input, mark) =>
      Effect.async((answer) => {
        const missing = new Set(["stdout", "stderr"])
        const watched = (name: "stdout" | "stderr") =>
          collect(child[name], limits.outputBytes + around, {
            last: tailLength,
            look: (tail) => {
              if (!tail.includes(`\n${mark}\n`)) return
              missing.delete(name)
              if (missing.size === 0) finish()
            }
          })
        const finish = () => {
          child.off("close", finish)
          stdout.leave()
          stderr.leave()
          for (const handle of handles) handle.unref()
          answer(
            Effect.succeed({
              isWhole: missing.size === 0,
              stdout: stdout.all(),
              stderr: stderr.all().toString("utf8"),
              tail: stderr.tail()
            })
          )
        }
        const stdout = watched("stdout")
        const stderr = watched("stderr")
        if (isClosed) return finish()
        for (const handle of handles) handle.ref()
        child.once("close", finish)
        child.stdin?.write(input)
        return end(child, limits)
      })
    child.once("spawn", () =>
      resume(
        Effect.succeed({
          lives: () => child.exitCode === null && child.signalCode === null,
          exchange,
          leave: () => void child.stdin?.end()
        })
      )
    )
    return undefined
  })

/**
 * Runs a command to its end with stdin closed, and keeps the beginning of each output. Interruption and the timeout end the
 * process and its children.
 */
export const run = (
  command: ProcessCommand,
  limits: ProcessLimits,
  options: { readonly timeoutSeconds?: number } = {}
): Effect.Effect<ProcessResult, ProcessError> => {
  const running = Effect.map(
    converse(command, limits),
    ({ exitCode, stderr, stdout }): ProcessResult => ({
      exitCode,
      stderr,
      stdout: stdout.subarray(0, limits.outputBytes).toString("utf8")
    })
  )
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

/**
 * Runs a command with this program's stdin, stdout and stderr and in its process group, so that a terminal's signals reach it.
 * Returns its exit code.
 */
export const interact = (command: ProcessCommand): Effect.Effect<number, ProcessError> =>
  started<number>(command, { stdio: "inherit" }, (child, resume) => {
    child.once("close", (code, by) => resume(Effect.succeed(exitCodeOf(code, by))))
    return Effect.suspend(() => (child.pid === undefined ? Effect.void : signal(child.pid, "SIGTERM")))
  })

/** Starts a process that outlives this one: in its own session, without open files of this one. */
export const detach = (command: ProcessCommand): Effect.Effect<number, ProcessError> =>
  started(command, { detached: true, stdio: "ignore" }, (child, resume) => {
    child.once("spawn", () => {
      child.unref()
      resume(Effect.succeed(child.pid ?? 0))
    })
    return undefined
  })

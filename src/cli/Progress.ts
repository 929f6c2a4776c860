/** Following a provision on stderr. */
import * as fs from "node:fs/promises"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Conflict, NotFound } from "../domain/Errors.js"
import { ProgressEvent } from "../domain/ProgressEvent.js"
import { hasEnded, type Sandbox, type SandboxId } from "../domain/Sandbox.js"
import { formatDuration } from "../domain/Units.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { stopGraceIn, Timing } from "../settings/Timing.js"
import type { StoreError } from "../store/SandboxStore.js"
import { Ended, ofSandbox } from "./ExitCode.js"
import type { progressModes } from "./Options.js"
import { printable } from "./Printer.js"
import { say, sayAll } from "./say.js"

export type ProgressMode = (typeof progressModes)[number]

type FollowError = StoreError | NotFound | Conflict | Ended

const lastBytes = 4096
const eraseLine = process.stderr.isTTY ? "\r\u001b[K" : ""

const seconds = (from: DateTime.Utc, now: number) => Math.max(0, (now - DateTime.toEpochMillis(from)) / 1000)

/** Bytes of the log from an offset on; none where it is not there yet. */
const readLog = (file: string, from: number, length?: number): Effect.Effect<Buffer> =>
  Effect.promise(async () => {
    const log = await fs.open(file).catch(() => undefined)
    if (log === undefined) return Buffer.alloc(0)
    try {
      const { size } = await log.stat()
      const start = length === undefined ? from : Math.max(0, size - length)
      const buffer = Buffer.alloc(Math.max(0, size - start))
      const { bytesRead } = await log.read(buffer, 0, buffer.length, start)
      return buffer.subarray(0, bytesRead)
    } finally {
      await log.close()
    }
  })

/**
 * Writes the redacted log as it grows, until the provision has ended. A supervisor that takes over goes on in a file
 * of its own, which begins with the same bytes.
 */
export const streamLog = (id: SandboxId, from: number, write: (bytes: Buffer) => void) =>
  Effect.gen(function* () {
    const sandboxes = yield* Sandboxes
    const { logPoll } = (yield* Timing).progress
    let offset = from
    yield* Effect.gen(function* () {
      const { logPath, state } = yield* sandboxes.get(id)
      const bytes = logPath === null ? Buffer.alloc(0) : yield* readLog(logPath, offset)
      offset += bytes.length
      yield* Effect.sync(() => write(bytes))
      return hasEnded(state) && bytes.length === 0
    }).pipe(Effect.repeat({ until: (ended) => ended, schedule: Schedule.spaced(logPoll) }))
  })

const lastLine = (sandbox: Sandbox): Effect.Effect<string> =>
  sandbox.logPath === null
    ? Effect.succeed("")
    : Effect.map(readLog(sandbox.logPath, 0, lastBytes), (bytes) =>
        printable(bytes.toString("utf8").trimEnd().split("\n").at(-1) ?? "")
      )

const describe = (event: ProgressEvent): string | undefined => {
  switch (event.type) {
    case "phase":
      return `== ${event.message}`
    case "warning":
      return `warning: ${printable(event.message).split("\n").join("\n  ")}`
    case "queued":
    case "note":
    case "artifact":
    case "taken-over":
    case "cancelling":
    case "retrying":
      return `-- ${printable(event.message)}`
    case "heartbeat":
      return `.. ${event.message}`
    default:
      return undefined
  }
}

/** A line a phase, and a heartbeat while nothing else happens. */
const followLines = (id: SandboxId, after: number) =>
  Effect.flatMap(Sandboxes, (sandboxes) =>
    Stream.runForEach(sandboxes.follow(id, after), (event) => {
      const line = describe(event)
      return line === undefined ? Effect.void : say(line)
    })
  )

/** The redacted output itself. */
const followPlain = (id: SandboxId) =>
  Effect.gen(function* () {
    const sandboxes = yield* Sandboxes
    yield* Effect.all(
      [
        sandboxes.wait(id),
        streamLog(id, 0, (bytes) => void process.stderr.write(printable(bytes.toString("utf8"))))
      ],
      { concurrency: "unbounded", discard: true }
    )
  })

const followJson = (id: SandboxId, after: number) =>
  Effect.flatMap(Sandboxes, (sandboxes) =>
    Stream.runForEach(sandboxes.follow(id, after), (event) =>
      say(JSON.stringify(Schema.encodeSync(ProgressEvent)(event)))
    )
  )

const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]

/** A line that is drawn anew: phase, elapsed time, the last line of the output, and how to leave. */
const followTerminal = (id: SandboxId, after: number, leave: string) =>
  Effect.gen(function* () {
    const sandboxes = yield* Sandboxes
    const { redraw } = (yield* Timing).progress
    let frame = 0
    let queued = ""
    const clear = Effect.sync(() => void process.stderr.write(eraseLine))
    const draw = Effect.gen(function* () {
      const sandbox = yield* sandboxes.get(id)
      const now = yield* Clock.currentTimeMillis
      const { phase } = sandbox
      const inPhase = phase === null ? "" : ` ${formatDuration(seconds(phase.startedAt, now))}`
      const total = formatDuration(seconds(sandbox.createdAt, now))
      const doing = phase?.name === "queue" && queued !== "" ? queued : (phase?.name ?? sandbox.state)
      const start = `${spinner[frame++ % spinner.length]} ${doing}${inPhase} · ${total} in all · ${leave} · `
      const width = Math.max(20, (process.stderr.columns || 80) - 1)
      yield* Effect.sync(() => void process.stderr.write(`${eraseLine}${start.slice(0, width)}`))
      const line = yield* lastLine(sandbox)
      yield* Effect.sync(() => void process.stderr.write(line.slice(0, Math.max(0, width - start.length))))
    })
    yield* sandboxes.follow(id, after).pipe(
      Stream.runForEach((event) => {
        if (event.type === "queued") queued = printable(event.message)
        // The line that is drawn anew is heartbeat enough.
        const line = event.type === "heartbeat" ? undefined : describe(event)
        return line === undefined ? Effect.void : Effect.zipRight(clear, say(line))
      }),
      Effect.raceFirst(Effect.zipRight(Effect.schedule(draw, Schedule.spaced(redraw)), Effect.never)),
      Effect.ensuring(clear)
    )
  })

/** Runs `onSignal` at each of the signals while `effect` runs; without it Node would end at once. */
export const handling = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  signals: ReadonlyArray<NodeJS.Signals>,
  onSignal: () => void
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => signals.forEach((name) => void process.on(name, onSignal))),
    () => effect,
    () => Effect.sync(() => signals.forEach((name) => void process.off(name, onSignal)))
  )

/** Runs `effect` until it has ended, or Ctrl-C or SIGTERM ends it, which is no failure. */
export const untilSignal = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Deferred.make<void>(), (told) =>
    handling(Effect.raceFirst(effect, Deferred.await(told)), ["SIGINT", "SIGTERM"], () =>
      Deferred.unsafeDone(told, Effect.void)
    )
  )

/** Reads single keys of the terminal while `effect` runs. */
const withKeys = <A, E, R>(effect: Effect.Effect<A, E, R>, onKey: (key: string) => void) => {
  const listen = (data: Buffer) => onKey(data.toString("latin1"))
  return Effect.acquireUseRelease(
    Effect.sync(() => {
      process.stdin.setRawMode(true)
      process.stdin.resume()
      process.stdin.on("data", listen)
    }),
    () => effect,
    () =>
      Effect.sync(() => {
        process.stdin.off("data", listen)
        process.stdin.pause()
        process.stdin.setRawMode(false)
      })
  )
}

/**
 * Shows a provision until it has ended or the user leaves; gives the exit code. With `cancels`, Ctrl-C and SIGTERM
 * ask to cancel it, and it is followed to its end all the same; else they end the view. Events up to `after` are not
 * shown.
 */
export const follow = (
  sandbox: Sandbox,
  options: { readonly mode: ProgressMode; readonly cancels: boolean; readonly after?: number }
): Effect.Effect<Sandbox, FollowError, Sandboxes> =>
  Effect.gen(function* () {
    const sandboxes = yield* Sandboxes
    const runtime = yield* Effect.runtime<Sandboxes>()
    const left = yield* Deferred.make<void, Ended>()
    const { id, name } = sandbox
    const { after = 0 } = options
    const terminal =
      options.mode === "tty" || (options.mode === "auto" && process.stderr.isTTY && process.stdin.isTTY)
    const runFork = (effect: Effect.Effect<unknown, unknown>) =>
      void Effect.runFork(Effect.provide(effect, runtime))
    let asked = false
    const cancel = Effect.gen(function* () {
      if (asked) {
        const { phase } = yield* sandboxes.get(id)
        const grace = Duration.toSeconds(yield* stopGraceIn(phase?.name))
        return yield* say(
          `${eraseLine}still waiting for ${name} to end (${phase?.name ?? "not begun"}); what runs is killed ${formatDuration(grace)} after it was asked to`
        )
      }
      asked = true
      yield* say(`${eraseLine}cancelling ${name}; waiting for it to end`)
      yield* sandboxes.cancel(id)
    })
    const leave = Deferred.fail(left, new Ended({ exitCode: options.cancels ? 0 : 130 }))
    const onSignal = () => runFork(options.cancels ? cancel : leave)
    const detach = Effect.zipRight(
      say(`${eraseLine}left ${name}, which goes on; \`sandboxer watch ${name}\` shows it again`),
      Deferred.fail(left, new Ended({ exitCode: 0 }))
    )
    const how = options.cancels ? "d detaches, Ctrl-C cancels" : "d or Ctrl-C leaves it"
    const shown: Effect.Effect<void, StoreError | NotFound, Sandboxes> = terminal
      ? withKeys(followTerminal(id, after, how), (key) => {
          if (key === "\u0003") onSignal()
          if (key === "d" || key === "q") runFork(detach)
        })
      : options.mode === "none"
        ? Effect.asVoid(sandboxes.wait(id))
        : options.mode === "plain"
          ? followPlain(id)
          : options.mode === "json"
            ? followJson(id, after)
            : followLines(id, after)
    yield* handling(Effect.raceFirst(shown, Deferred.await(left)), ["SIGINT", "SIGTERM"], onSignal)
    return yield* sandboxes.get(id)
  })

/** Says how a provision ended, and ends the command accordingly. */
export const conclude = (sandbox: Sandbox): Effect.Effect<void, Ended> => {
  const { exitCode, message } = ofSandbox(sandbox)
  return Effect.zipRight(sayAll(message), exitCode === 0 ? Effect.void : Effect.fail(new Ended({ exitCode })))
}

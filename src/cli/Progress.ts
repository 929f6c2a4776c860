/** Showing the progress of a provision on stderr, until it has ended. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Event } from "../domain/events/Event.js"
import type { SandboxId } from "../domain/Sandbox.js"
import { formatDuration } from "../domain/Units.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { Timing } from "../settings/Timing.js"
import { printable, report } from "./Printer.js"

/** Erases the status line, where there is one, before something else is printed. */
export const eraseLine = process.stderr.isTTY ? "\r\u001b[K" : ""

const write = (text: string) => Effect.sync(() => void process.stderr.write(text))

const describe = (event: Event): string | undefined => {
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
    case "other":
      return `-- ${printable(event.message)}`
    case "heartbeat":
      return `.. ${event.message}`
    default:
      return undefined
  }
}

const forEachEvent = <R>(
  id: SandboxId,
  after: number,
  print: (event: Event) => Effect.Effect<void, never, R>
) => Effect.flatMap(Sandboxes, (sandboxes) => Stream.runForEach(sandboxes.follow(id, after), print))

/** Prints a line for each phase, and a heartbeat while nothing else happens. Events up to `after` are left out. */
export const showLines = (id: SandboxId, after: number) =>
  forEachEvent(id, after, (event) => {
    const line = describe(event)
    return line === undefined ? Effect.void : report(line)
  })

export const showJson = (id: SandboxId, after: number) =>
  forEachEvent(id, after, (event) => report(JSON.stringify(Schema.encodeSync(Event)(event))))

/** Prints the redacted log as it grows. A log that was removed since the provision ended is left out. */
export const showLog = (id: SandboxId) =>
  Effect.flatMap(Sandboxes, (sandboxes) =>
    sandboxes.log(id, { follow: true }).pipe(
      Stream.decodeText(),
      Stream.runForEach((text) => write(printable(text))),
      Effect.catchIf(
        (error) => error.reason === "log",
        () => Effect.void
      )
    )
  )

const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]

const secondsSince = (from: DateTime.Utc, now: number) =>
  Math.max(0, (now - DateTime.toEpochMillis(from)) / 1000)

/** Redraws a status line: the phase, the time that has passed, which `keys` there are, and the last line of the log. */
export const showStatusLine = (id: SandboxId, after: number, keys: string) =>
  Effect.gen(function* () {
    const sandboxes = yield* Sandboxes
    const { redraw } = (yield* Timing).progress
    let frame = 0
    let queued = ""
    let lastLine = ""
    const draw = Effect.gen(function* () {
      const { createdAt, phase, state } = yield* sandboxes.get(id)
      const now = yield* Clock.currentTimeMillis
      const inPhase = phase === null ? "" : ` ${formatDuration(secondsSince(phase.startedAt, now))}`
      const total = formatDuration(secondsSince(createdAt, now))
      const doing = phase?.name === "queue" && queued !== "" ? queued : (phase?.name ?? state)
      const status = `${spinner[frame++ % spinner.length]} ${doing}${inPhase} · ${total} in all · ${keys} · `
      const width = Math.max(20, (process.stderr.columns || 80) - 1)
      yield* write(`${eraseLine}${`${status}${lastLine}`.slice(0, width)}`)
    })
    const readLog = sandboxes.log(id, { follow: true, tail: 1 }).pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) =>
        Effect.sync(() => {
          lastLine = printable(line)
        })
      )
    )
    yield* forEachEvent(id, after, (event) => {
      if (event.type === "queued") queued = printable(event.message)
      // The status line shows that time passes.
      const line = event.type === "heartbeat" ? undefined : describe(event)
      return line === undefined ? Effect.void : Effect.zipRight(write(eraseLine), report(line))
    }).pipe(
      Effect.raceFirst(Effect.zipRight(Effect.schedule(draw, Schedule.spaced(redraw)), Effect.never)),
      Effect.raceFirst(Effect.zipRight(Effect.ignore(readLog), Effect.never)),
      Effect.ensuring(write(eraseLine))
    )
  })

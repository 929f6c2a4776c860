/** Reports of a recipe, written under its supervisor's lease: events in the store, output in the redacted log. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Event from "../../domain/events/Event.js"
import { ProvisionError } from "../../domain/Failure.js"
import { monotonicSeconds } from "../../domain/Monotonic.js"
import { lastLine } from "../../domain/Note.js"
import { isForward, type PhaseName } from "../../domain/Phase.js"
import * as Redactor from "../../domain/Redactor.js"
import { formatDuration } from "../../domain/Units.js"
import * as Uptime from "../../hosts/Uptime.js"
import { decode, encode } from "../../packer/wire/Wire.js"
import { Settings } from "../../settings/Settings.js"
import { Timing } from "../../settings/Timing.js"
import { SandboxStore, StoreError } from "../../store/SandboxStore.js"
import { Provision } from "../Provision.js"
import { Reporter, type ReporterShape } from "../Reporter.js"
import { makeSayer } from "./EventBudget.js"

const newline = 0x0a
/** The step that journals when the phase began: the limit continues across a take-over. */
const phaseKey = "phase"
const encoder = new TextEncoder()
const decoder = new TextDecoder()

const logError = (error: { readonly message: string }) =>
  new StoreError({
    reason: "not-writable",
    message: `the log cannot be written: ${error.message}`,
    hint: "check the disk's space and the state directory's permissions"
  })

/** The last of the lines that end in a text. */
const lastLines = (text: string, tailLines: number): ReadonlyArray<string> =>
  text.split("\n").slice(0, -1).slice(-tailLines)

/**
 * The log of this term: one of its own, that begins as the log of the term before did, so that two supervisors
 * never write to one file.
 */
const openLog = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const store = yield* SandboxStore
  const { home } = yield* Settings
  const { tailLineLength, tailLines } = (yield* Timing).reporting
  const { attempt, id, term } = yield* Provision
  const folder = path.join(home, "logs")
  yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
  const last = yield* store.log(id)
  // An attempt has a log of its own, that begins with nothing; those of the attempts before stay.
  const before = last !== undefined && (last.attempt ?? 1) === attempt ? last : undefined
  const earlier = [
    ...(last?.earlier ?? []),
    ...(last !== undefined && before === undefined ? [last.path] : [])
  ]
  const fileOf = (ofTerm: number) => path.join(folder, `${id}.${ofTerm}.log`)
  const file = fileOf(term)
  const opened = yield* Effect.gen(function* () {
    const log = yield* fs.open(file, { flag: "w", mode: 0o600 })
    // What is to be cancelled is not read on: whatever the term before had shown of it stays, and that is all.
    const closed = yield* store.cancelRequested(id)
    let kept: Uint8Array = new Uint8Array()
    if (before !== undefined && (closed || before.length > 0)) {
      const written = yield* fs.readFile(before.path)
      kept = written.subarray(0, closed ? written.lastIndexOf(newline) + 1 : before.length)
      // Writing nothing would be an error.
      if (kept.length > 0) yield* log.writeAll(kept)
    }
    const tail = lastLines(decoder.decode(kept.subarray(-tailLines * tailLineLength)), tailLines)
    const position = { attempt, path: file, length: kept.length, offsets: before?.offsets ?? {}, earlier }
    yield* store.commit({ id, term }, { log: position, change: { logPath: file } })
    return { closed, log, position, tail }
  }).pipe(
    // Nobody else's file is so called: of a term that comes too late to write it nothing is left.
    Effect.tapError(() => Effect.ignore(fs.remove(file, { force: true }))),
    Effect.uninterruptible
  )
  // A term that ended before this place may have left its own, too.
  yield* Effect.forEach(
    Array.from({ length: term - 1 }, (_, index) => fileOf(index + 1)).filter((old) => !earlier.includes(old)),
    (old) => fs.remove(old, { force: true }),
    { discard: true }
  )
  return opened
})

/** @category layers */
export const layer = Layer.scoped(
  Reporter,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const store = yield* SandboxStore
    const uptime = yield* Uptime.Uptime
    const { attempt, id, plan, secrets, term } = yield* Provision
    const { checkInterval, tailLineLength, tailLines } = (yield* Timing).reporting
    const {
      closed,
      log,
      position: begun,
      tail: before
    } = yield* Effect.catchAll(openLog, (error) =>
      Effect.fail(error._tag === "StoreError" ? error : logError(error))
    )
    const redactor = Redactor.make(Object.values(secrets).map(Redacted.value), { decode, encode })
    const streams = new Map<string, ReturnType<Redactor.Redactor["stream"]>>()
    const writing = yield* Effect.makeSemaphore(1)
    let position = begun
    // Behind the last whole line there may be the beginning of one, which another supervisor would write again.
    let written = begun.length
    let tail = before
    let current: PhaseName | null = (yield* store.get(id))?.phase?.name ?? null

    const { say: sayWithin, sayAnyway, tellLeftOut } = yield* makeSayer({ id, term }, attempt)
    const say =
      (make: typeof Event.note | typeof Event.warning): ReporterShape["note"] =>
      (key, message, details) =>
        Effect.suspend(() =>
          sayWithin(
            make({
              attempt,
              // A recipe may derive its key from output.
              key: redactor.text(key),
              message: redactor.text(message),
              phase: current,
              details
            })
          )
        )

    // On a clock that nobody sets: what was said last, and what was printed last.
    const begunAt = yield* monotonicSeconds
    let saidAt = begunAt
    let printedAt = begunAt
    let stalled = false
    const thisMoment = Effect.provideService(Uptime.now, Uptime.Uptime, uptime)
    const entered = (yield* store.steps(id, attempt)).find(({ key }) => key === phaseKey)?.result
    let enteredAt =
      begunAt -
      (entered
        ? yield* Uptime.secondsSince(yield* Effect.orDie(Schema.decodeUnknown(Uptime.Moment)(entered.value)))
        : 0)
    const overdue = yield* Deferred.make<never, ProvisionError>()
    const { heartbeatSeconds, phaseTimeouts, stallCancels, stallSeconds } = plan
    const checkLimits = (now: number) => {
      const limit = current === null ? undefined : phaseTimeouts[current]
      const error =
        limit !== undefined && now - enteredAt >= limit
          ? new ProvisionError({
              reason: "timed-out",
              message: `phase ${current} took longer than ${formatDuration(limit)}`,
              hint: "see in the log what it waited for, or raise the profile's `timeouts`"
            })
          : stallCancels && stallSeconds !== null && now - printedAt >= stallSeconds
            ? new ProvisionError({
                reason: "stalled",
                message: `nothing was printed for ${formatDuration(stallSeconds)}${current === null ? "" : `, in phase ${current}`}`,
                hint: "see in the log what it did last; the profile's `stall` says how long it may be silent"
              })
            : undefined
      return error === undefined ? Effect.void : Deferred.fail(overdue, error)
    }
    const pulse = Effect.gen(function* () {
      const now = yield* monotonicSeconds
      // Who waits for its turn prints nothing.
      if (current === "queue") printedAt = now
      yield* checkLimits(now)
      yield* tellLeftOut({ all: false, phase: current })
      const silence = now - printedAt
      if (stallSeconds !== null && !stalled && silence >= stallSeconds) {
        stalled = true
        yield* say(Event.warning)(
          `stall/${term}/${printedAt}`,
          `nothing was printed for ${formatDuration(silence)}`
        )
      }
      if (now - saidAt < heartbeatSeconds) return
      saidAt = now
      yield* store.commit(
        { id, term },
        {
          events: [
            Event.heartbeat({
              occurrence: { attempt, term, at: now },
              phase: current,
              elapsedSeconds: now - begunAt,
              tail: lastLine(tail)
            })
          ]
        }
      )
    })
    // One that cannot be written is not the last.
    yield* Effect.forkScoped(
      Effect.schedule(
        Effect.ignore(pulse),
        Schedule.spaced(Duration.min(Duration.seconds(heartbeatSeconds), checkInterval))
      )
    )

    return {
      phase: (phase, { at, build, overall } = {}) =>
        Effect.gen(function* () {
          saidAt = yield* monotonicSeconds
          const time = at ?? (yield* Clock.currentTimeMillis)
          const next = overall ?? phase
          const moves = current === null || isForward(current, next)
          if (moves) enteredAt = saidAt
          const event = Event.phaseEntered({ attempt, phase, build, time })
          // A guest can print the phases of as many builds as it likes.
          if (!moves) return yield* sayWithin(event)
          current = next
          yield* sayAnyway(event, {
            step: { attempt, key: phaseKey, job: null, result: { value: yield* thisMoment } },
            change: {
              phase: { name: next, startedAt: DateTime.unsafeMake(time), percent: null, etaSeconds: null }
            }
          })
        }),
      note: say(Event.note),
      warning: say(Event.warning),
      output: (lines) =>
        writing.withPermits(1)(
          Effect.gen(function* () {
            if (closed) return
            const offsets = { ...position.offsets }
            let text = ""
            let whole = 0
            for (const line of lines) {
              if (line.end <= (position.offsets[line.job] ?? 0)) continue
              const stream = streams.get(line.job) ?? redactor.stream()
              streams.set(line.job, stream)
              text += stream.push(line.text)
              if (!line.complete) continue
              text += `${stream.flush()}\n`
              whole = text.length
              offsets[line.job] = line.end
            }
            if (text === "") return
            printedAt = yield* monotonicSeconds
            stalled = false
            yield* Effect.mapError(log.writeAll(encoder.encode(text)), logError)
            const length = written + encoder.encode(text.slice(0, whole)).length
            written += encoder.encode(text).length
            if (whole === 0) return
            tail = [...tail, ...lastLines(text.slice(0, whole), tailLines)].slice(-tailLines)
            position = { ...position, length, offsets }
            yield* store.commit({ id, term }, { log: position })
          })
        ),
      keep: (name, text) =>
        Effect.suspend(() => {
          const file = path.join(path.dirname(begun.path), `${id}.${name}`)
          // Renamed into place: an older term that comes late finds the same to say, and tears nothing.
          const staged = `${file}.${term}`
          return fs
            .writeFileString(staged, redactor.text(text), { mode: 0o600 })
            .pipe(Effect.zipRight(fs.rename(staged, file)), Effect.as(file))
        }).pipe(Effect.mapError(logError)),
      settle: Effect.suspend(() => tellLeftOut({ all: true, phase: current })),
      overdue: Deferred.await(overdue),
      tail: Effect.sync(() => tail.map((line) => line.slice(0, tailLineLength))),
      redact: redactor.text
    }
  })
)

/** What a State Hub is told: which events it is told of, and in which words. */
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { type Event, type EventType, typeOf } from "./events/Event.js"
import type { Plan } from "./Plan.js"
import type { Sandbox } from "./Sandbox.js"
import { formatDuration, formatSize } from "./Units.js"

/**
 * What a State Hub is told: the body of `POST /progress`. Names are the contract's.
 * @category model
 */
export const Note = Schema.Struct({
  id: Schema.String,
  occurred_at: Schema.String,
  source: Schema.Literal("sandboxer"),
  event_type: Schema.String,
  summary: Schema.String,
  workstream_id: Schema.NullOr(Schema.String),
  task_id: Schema.NullOr(Schema.String),
  sandbox_id: Schema.String,
  sequence: Schema.Int,
  phase: Schema.NullOr(Schema.String),
  percent: Schema.NullOr(Schema.Number),
  eta_seconds: Schema.NullOr(Schema.Number),
  author: Schema.String,
  detail: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})
export type Note = typeof Note.Type

/** How much a hub is told of; `none` where there was none when the sandbox was created. */
export const NoteLevel = Schema.Literal("phases", "all", "failures")
export type NoteLevel = typeof NoteLevel.Type

const ofFailures: ReadonlyArray<EventType> = ["warning", "taken-over", "failed", "retrying", "cancelled"]

/**
 * Whether a hub is told of an event. `lastHeartbeat` is when it was last told of a heartbeat, in epoch milliseconds:
 * the next one is told once `everySeconds` have passed.
 */
export const isNotified = (
  { everySeconds, notes }: Plan["hub"],
  event: Event,
  lastHeartbeat: number | undefined
): boolean => {
  switch (notes) {
    case "none":
      return false
    case "failures":
      return ofFailures.includes(event.type)
    case "phases":
    case "all":
      if (event.type === "note") return notes === "all"
      return (
        event.type !== "heartbeat" ||
        lastHeartbeat === undefined ||
        DateTime.toEpochMillis(event.time) - lastHeartbeat >= everySeconds * 1000
      )
  }
}

const longestSummary = 300
const longestLine = 120

// What begins with a control character, but for those between words, is what a terminal acts on.
const escapes = /(?![\t\n\r])\p{Cc}(?:\[[0-?]*[ -/]*[@-~]|\][^\p{Cc}]*(?:\p{Cc}\\?)?)?/gu

/** A text as one line without what a terminal would act on, cut. */
export const oneLine = (text: string, longest = longestSummary): string => {
  const line = text
    .replaceAll(escapes, "")
    .replaceAll(/[\s\p{Zl}\p{Zp}]+/gu, " ")
    .replaceAll(/[\p{Cf}\p{Cs}]/gu, "")
    .trim()
  const letters = [...line.slice(0, 2 * longest + 2)]
  return letters.length <= longest ? line : `${letters.slice(0, longest - 1).join("")}…`
}

/** The last of some lines of output that says something, fit for a hub: without the name of the build before it. */
export const lastLine = (lines: ReadonlyArray<string>): string | null => {
  const said = lines
    .map((line) => line.split("\r").findLast((part) => part.trim() !== "") ?? "")
    .map((line) => oneLine(line.replace(/^(?:==> | {2,})[\w.-]+: +/, ""), longestLine))
  return said.findLast((line) => line !== "") ?? null
}

/** "40 s", "4 min", "1 h 05 min": as one says it. */
const roughly = (seconds: number): string =>
  seconds < 60
    ? `${Math.max(1, Math.round(seconds))} s`
    : formatDuration(Math.round(seconds / 60) * 60).replace(/ 00 s$/, "")

const secondsBetween = (from: DateTime.Utc, to: DateTime.Utc): number =>
  Math.max(0, (DateTime.toEpochMillis(to) - DateTime.toEpochMillis(from)) / 1000)

/** How many of a thing: "1 process", "3 jobs". */
const count = (number: number, one: string, many: string): ReadonlyArray<string> =>
  number > 0 ? [`${number} ${number === 1 ? one : many}`] : []

/** The types of events that end a phase: their notes speak of what was before them. */
export const looksBack: ReadonlyArray<EventType> = ["phase", "ready", "failed", "retrying", "cancelled"]

/** The phase that an event ends, of the same build where there are several, and how long it took. */
const phaseBefore = (event: Event, earlier: ReadonlyArray<Event>) => {
  if (!looksBack.includes(event.type)) return undefined
  const before = earlier
    .filter((one) => one.type === "phase")
    .findLast(({ data }) => event.type !== "phase" || data.build === event.data.build)
  return before === undefined
    ? undefined
    : { phase: before.phase, seconds: secondsBetween(before.time, event.time) }
}

/** What is said behind the sandbox's name, in order; what there is nothing to say of is left out. */
const words = (sandbox: Sandbox, event: Event, earlier: ReadonlyArray<Event>): ReadonlyArray<string> => {
  const before = phaseBefore(event, earlier)
  const took = before === undefined ? [] : [`${before.phase} took ${formatDuration(before.seconds)}`]
  const begun = earlier.find(({ type }) => type === "provisioning")
  const inAll = begun === undefined ? undefined : formatDuration(secondsBetween(begun.time, event.time))
  switch (event.type) {
    case "phase":
      return [event.message, ...took]
    case "heartbeat": {
      const since = sandbox.phase?.startedAt ?? sandbox.createdAt
      return [
        event.phase ?? "waiting",
        ...(event.percent === null ? [] : [`${Math.round(event.percent)} %`]),
        event.etaSeconds === null
          ? `${roughly(secondsBetween(since, event.time))} so far`
          : `about ${roughly(event.etaSeconds)} left`,
        event.data.tail ?? ""
      ]
    }
    case "artifact": {
      const { name, sha256, sizeBytes } = event.data
      return [`made ${name}`, formatSize(sizeBytes), `sha256 ${sha256.slice(0, 12)}…`]
    }
    case "ready":
      return ["ready", ...(inAll === undefined ? [] : [`${inAll} in all`]), ...took]
    case "failed":
      return [
        `failed${sandbox.phase === null ? "" : ` in ${sandbox.phase.name}`}${inAll === undefined ? "" : ` after ${inAll}`}`,
        event.message
      ]
    case "cancelled": {
      const { jobs, killed } = event.data.proof
      const ended = [
        ...count(jobs, "job ended", "jobs ended"),
        ...count(killed, "process killed", "processes killed")
      ]
      return [event.message, ...(ended.length === 0 ? [] : [ended.join(", ")]), ...took]
    }
    case "warning":
      return [`warning: ${event.message}`]
    default:
      return [event.message]
  }
}

/**
 * The note that tells of an event. `sandbox` is as the event left it; `earlier` are the events of its attempt that
 * tell of its begin and its phases, in order.
 */
export const noteOf = (
  sandbox: Sandbox,
  hub: Plan["hub"],
  event: Event,
  earlier: ReadonlyArray<Event>
): Note => {
  const before = phaseBefore(event, earlier)
  return {
    id: event.id,
    occurred_at: DateTime.formatIso(event.time),
    source: "sandboxer",
    event_type: typeOf(event),
    summary: oneLine(
      [sandbox.name, ...words(sandbox, event, earlier)].filter((part) => part !== "").join(" · ")
    ),
    workstream_id: hub.workstream,
    task_id: hub.task,
    sandbox_id: event.sandboxId,
    sequence: event.seq,
    phase: event.phase,
    percent: event.percent,
    eta_seconds: event.etaSeconds,
    author: "sandboxer",
    detail: {
      sandbox_name: sandbox.name,
      ...(before === undefined
        ? {}
        : { previous_phase: before.phase, previous_phase_seconds: Math.round(before.seconds) }),
      ...event.data
    }
  }
}

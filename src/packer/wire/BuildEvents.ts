/**
 * Reads the events of a build from its output, record by record. Pure; the state is plain data.
 *
 * A guest can print anything, and from Packer 1.13 on its output looks like Packer's own. But each of its lines carries
 * the prefix of its build: the end of a build, a warning and a cancellation are only taken from texts without a prefix, and
 * artifacts and errors have their own records. A guest can imitate a phase, so phases only move forward.
 */
import * as Schema from "effect/Schema"
import { isForward, order, PhaseName } from "../../domain/Phase.js"
import { phaseOf, splitBuild } from "./PhaseLines.js"
import type { WireRecord } from "./Wire.js"

const optionalString = Schema.optionalWith(Schema.String, { exact: true })

/**
 * In all of them `time` is Packer's own, in epoch milliseconds, to the second.
 *
 * - `Phase`: a build has entered a later phase than the one it was in.
 * - `Line`: a line for the log, without its build's prefix and not redacted. A line that is no record has the time of the
 *   record before it.
 * - `BuildFinished`, `BuildErrored`: the end of a build. Packer may still run others.
 * - `Artifact`: files that a build made, as Packer names them (relative to its working directory), without those of an
 *   earlier artifact of the build. A build whose artifacts have no file at all gives one without files.
 * - `ErrorSummary`: the error of a failed build, as Packer repeats it at its end.
 * - `Warning`: from Packer, before it builds.
 * - `Cancelled`: once, when Packer says that it was asked to stop.
 *
 * @category model
 */
export const PackerEvent = Schema.Union(
  Schema.TaggedStruct("Phase", { time: Schema.Number, build: Schema.String, phase: PhaseName }),
  Schema.TaggedStruct("Line", {
    time: Schema.Number,
    build: optionalString,
    postProcessor: optionalString,
    stream: Schema.Literal("say", "message", "error"),
    text: Schema.String
  }),
  Schema.TaggedStruct("BuildFinished", {
    time: Schema.Number,
    build: Schema.String,
    durationSeconds: Schema.optionalWith(Schema.Number, { exact: true })
  }),
  Schema.TaggedStruct("BuildErrored", { time: Schema.Number, build: Schema.String, message: Schema.String }),
  Schema.TaggedStruct("Artifact", {
    time: Schema.Number,
    build: Schema.String,
    builderId: Schema.String,
    files: Schema.Array(Schema.String)
  }),
  Schema.TaggedStruct("ErrorSummary", { time: Schema.Number, build: Schema.String, message: Schema.String }),
  Schema.TaggedStruct("Warning", { time: Schema.Number, build: optionalString, message: Schema.String }),
  Schema.TaggedStruct("Cancelled", { time: Schema.Number, message: Schema.String })
)
export type PackerEvent = typeof PackerEvent.Type

const BuildState = Schema.Struct({
  build: Schema.String,
  phase: Schema.optionalWith(PhaseName, { exact: true }),
  ended: Schema.Boolean,
  /** How many artifacts there were so far, and the files of all of them. */
  artifacts: Schema.Number,
  files: Schema.Array(Schema.String),
  /** The artifact whose fields are being read. */
  open: Schema.optionalWith(
    Schema.Struct({ builderId: Schema.String, none: Schema.Boolean, files: Schema.Array(Schema.String) }),
    { exact: true }
  )
})
type BuildState = typeof BuildState.Type

/**
 * The decoder's state. `builds` are the names that it was given, `seen` the builds that have printed something.
 * @category model
 */
export const DecoderState = Schema.Struct({
  builds: Schema.Array(Schema.String),
  time: Schema.Number,
  cancelled: Schema.Boolean,
  seen: Schema.Array(BuildState)
})
export type DecoderState = typeof DecoderState.Type

type Step = readonly [DecoderState, ReadonlyArray<PackerEvent>]

/**
 * The state before the first record. `builds` are the names from `inspect`, also of builds that do not run; none if they
 * are unknown. `startedAt` (epoch milliseconds) is the time of lines before the first record.
 */
export const initial = (builds: ReadonlyArray<string>, startedAt = 0): DecoderState => ({
  builds,
  time: startedAt,
  cancelled: false,
  seen: []
})

/** Reads one record; returns the state after it, and its events. */
export const step = (state: DecoderState, record: WireRecord): Step => {
  if (record._tag === "Text") {
    return [state, [{ _tag: "Line", time: state.time, stream: "say", text: record.text }]]
  }
  const now = { ...state, time: record.time }
  switch (record._tag) {
    case "Ui":
      return uiStep(now, record)
    case "ErrorRecord":
      return [now, [{ _tag: "ErrorSummary", time: record.time, build: record.target, message: record.text }]]
    case "ArtifactField":
      return artifactStep(now, record)
    default:
      return [now, []]
  }
}

/**
 * The phase of the build that has come least far, of those that run; `undefined` if none runs, or one has no phase yet.
 */
export const overallPhase = (state: DecoderState): PhaseName | undefined => {
  const running = state.seen.filter((build) => !build.ended)
  const phases = running.flatMap(({ phase }) => (phase === undefined ? [] : [phase]))
  return phases.length < running.length ? undefined : phases.sort(order)[0]
}

type Ui = Extract<WireRecord, { _tag: "Ui" }>
type ArtifactField = Extract<WireRecord, { _tag: "ArtifactField" }>

const uiStep = (state: DecoderState, record: Ui): Step => {
  const { build, postProcessor, lines } = splitBuild(record.text, state.builds)
  const line = { _tag: "Line", time: record.time, stream: record.kind } as const
  if (build === undefined) {
    const [next, events] = ownStep(state, record)
    return [next, [...events, ...trimBlank(lines).map((text) => ({ ...line, text }))]]
  }
  const speaker = { build, ...(postProcessor === undefined ? {} : { postProcessor }) }
  const said = lines.map((text) => ({ ...line, ...speaker, text }))
  const before = buildOf(state, build)
  const phase = phaseIn(record, postProcessor, lines[0] ?? "")
  const forward =
    phase !== undefined && !before.ended && (before.phase === undefined || isForward(before.phase, phase))
  return forward
    ? [withBuild(state, { ...before, phase }), [{ _tag: "Phase", time: record.time, build, phase }, ...said]]
    : [withBuild(state, before), said]
}

// Phases are of the kind `say`: up to 1.12 that excludes a guest's output, which is `message` or `error`.
const phaseIn = (record: Ui, postProcessor: string | undefined, line: string): PhaseName | undefined =>
  record.kind !== "say" ? undefined : postProcessor === undefined ? phaseOf(line) : "post-process"

/** Reads Packer's own text, which has no build's prefix. Patterns match all of it, as a guest can insert line feeds. */
const ownStep = (state: DecoderState, { kind, text, time }: Ui): Step => {
  const finished = kind === "say" ? /^Build '(.+?)' finished after (.+)\.$/.exec(text) : null
  if (finished?.[1] !== undefined) {
    const durationSeconds = secondsOf(finished[2] ?? "")
    const event = { _tag: "BuildFinished", time, build: finished[1] } as const
    return [
      withBuild(state, { ...buildOf(state, finished[1]), ended: true }),
      [durationSeconds === undefined ? event : { ...event, durationSeconds }]
    ]
  }
  const errored = kind === "error" ? /^Build '(.+?)' errored after .+?: ([\s\S]*)$/.exec(text) : null
  if (errored?.[1] !== undefined) {
    return [
      withBuild(state, { ...buildOf(state, errored[1]), ended: true }),
      [{ _tag: "BuildErrored", time, build: errored[1], message: errored[2] ?? "" }]
    ]
  }
  if (/^(?:Cancelling build after receiving |Cleanly cancelled builds )/.test(text)) {
    return [
      { ...state, cancelled: true },
      state.cancelled ? [] : [{ _tag: "Cancelled", time, message: text }]
    ]
  }
  const warning = kind === "say" ? /^Warning: ([\s\S]*)$/.exec(text)?.[1]?.trim() : undefined
  if (warning !== undefined) {
    const build = /^Warning when preparing build: "(.+)"$/m.exec(warning)?.[1]
    return [state, [{ _tag: "Warning", time, ...(build === undefined ? {} : { build }), message: warning }]]
  }
  return [state, []]
}

const artifactStep = (state: DecoderState, { build, field, time, value }: ArtifactField): Step => {
  const before = buildOf(state, build)
  const open = before.open ?? { builderId: "", none: false, files: [] }
  switch (field) {
    case "builder-id":
      return [withBuild(state, { ...before, open: { ...open, builderId: value } }), []]
    case "file":
      return [withBuild(state, { ...before, open: { ...open, files: [...open.files, value] } }), []]
    case "nil":
      return [withBuild(state, { ...before, open: { ...open, none: true } }), []]
    case "end": {
      const { open: _, ...closed } = before
      // Packer prints an artifact again for a post-processor that passes it on.
      const known = new Set(before.files)
      const files = [...new Set(open.files)].filter((file) => !known.has(file))
      if (open.none || (files.length === 0 && before.artifacts > 0)) {
        return [withBuild(state, closed), []]
      }
      return [
        withBuild(state, { ...closed, artifacts: before.artifacts + 1, files: [...before.files, ...files] }),
        [{ _tag: "Artifact", time, build, builderId: open.builderId, files }]
      ]
    }
    default:
      return [state, []]
  }
}

const buildOf = (state: DecoderState, build: string): BuildState =>
  state.seen.find((one) => one.build === build) ?? { build, ended: false, artifacts: 0, files: [] }

const withBuild = (state: DecoderState, build: BuildState): DecoderState => ({
  ...state,
  seen: state.seen.some((one) => one.build === build.build)
    ? state.seen.map((one) => (one.build === build.build ? build : one))
    : [...state.seen, build]
})

const trimBlank = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const first = lines.findIndex((line) => line !== "")
  return first === -1 ? [] : lines.slice(first, lines.findLastIndex((line) => line !== "") + 1)
}

const unitSeconds: ReadonlyArray<readonly [string, number]> = [
  ["year", 31_536_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
  ["millisecond", 1e-3],
  ["microsecond", 1e-6]
]

/** Parses a duration as Packer prints it, `1 minute 3 seconds`, to seconds. */
const secondsOf = (duration: string): number | undefined => {
  const parts = [...duration.matchAll(/(\d+) ([a-z]+?)s?(?: |$)/g)].map(
    ([, amount, unit]) => Number(amount) * (unitSeconds.find(([name]) => name === unit)?.[1] ?? Number.NaN)
  )
  const seconds = parts.reduce((sum, part) => sum + part, 0)
  return parts.length === 0 || Number.isNaN(seconds) ? undefined : Math.round(seconds * 1e6) / 1e6
}

/**
 * Reads the events of a build from its output, record by record. Pure.
 *
 * A guest can print anything, and from Packer 1.13 on its output looks like Packer's own. But each of its lines carries
 * the prefix of its build: the end of a build and a warning are only taken from texts without a prefix, and artifacts have
 * their own records. A guest can imitate a phase, so phases only move forward.
 */
import { isForward, order, type PhaseName } from "../../domain/Phase.js"
import { phaseOf, splitBuild } from "./PhaseLines.js"
import type { WireRecord } from "./Wire.js"

/** An event of a build. `time` is Packer's own, in epoch milliseconds, to the second. */
export type PackerEvent =
  /** A build has entered a later phase than the one it was in. */
  | { readonly _tag: "Phase"; readonly time: number; readonly build: string; readonly phase: PhaseName }
  /** A line for the log, without its build's prefix and not redacted. One that is no record has the time of the record before. */
  | {
      readonly _tag: "Line"
      readonly time: number
      readonly build?: string
      readonly stream: "say" | "message" | "error"
      readonly text: string
    }
  /** A build has ended. Packer may still run others. */
  | { readonly _tag: "BuildFinished"; readonly time: number; readonly build: string }
  | { readonly _tag: "BuildErrored"; readonly time: number; readonly build: string; readonly message: string }
  /**
   * Files that a build made, as Packer names them (relative to its working directory), without those of an earlier
   * artifact of the build. A build whose artifacts have no file at all gives one without files.
   */
  | {
      readonly _tag: "Artifact"
      readonly time: number
      readonly build: string
      readonly builderId: string
      readonly files: ReadonlyArray<string>
    }
  /** A warning of Packer, before it builds. */
  | { readonly _tag: "Warning"; readonly time: number; readonly message: string }

interface BuildState {
  readonly build: string
  readonly phase?: PhaseName
  readonly ended: boolean
  /** How many artifacts there were so far, and the files of all of them. */
  readonly artifacts: number
  readonly files: ReadonlyArray<string>
  /** The artifact whose fields are being read. */
  readonly open?: {
    readonly builderId: string
    readonly none: boolean
    readonly files: ReadonlyArray<string>
  }
}

/** The decoder's state: the time of the last record, and the builds that have printed something. */
export interface DecoderState {
  /** The names from `inspect`, also of builds that do not run; none if they are unknown. */
  readonly builds: ReadonlyArray<string>
  readonly time: number
  readonly seen: ReadonlyArray<BuildState>
}

type Step = readonly [DecoderState, ReadonlyArray<PackerEvent>]

/** The state before the first record, of a template with these builds. */
export const initial = (builds: ReadonlyArray<string>): DecoderState => ({ builds, time: 0, seen: [] })

/** Reads one record; returns the state after it, and its events. */
export const step = (state: DecoderState, record: WireRecord): Step => {
  if (record._tag === "Text") {
    return [state, [{ _tag: "Line", time: state.time, stream: "say", text: record.text }]]
  }
  const now = { ...state, time: record.time }
  switch (record._tag) {
    case "Ui":
      return uiStep(now, record)
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
  const said = lines.map((text) => ({ ...line, build, text }))
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
  const finished = kind === "say" ? /^Build '(.+?)' finished after .+\.$/.exec(text)?.[1] : undefined
  if (finished !== undefined) {
    return [
      withBuild(state, { ...buildOf(state, finished), ended: true }),
      [{ _tag: "BuildFinished", time, build: finished }]
    ]
  }
  const errored = kind === "error" ? /^Build '(.+?)' errored after .+?: ([\s\S]*)$/.exec(text) : null
  if (errored?.[1] !== undefined) {
    return [
      withBuild(state, { ...buildOf(state, errored[1]), ended: true }),
      [{ _tag: "BuildErrored", time, build: errored[1], message: errored[2] ?? "" }]
    ]
  }
  const warning = kind === "say" ? /^Warning: ([\s\S]*)$/.exec(text)?.[1]?.trim() : undefined
  return [state, warning === undefined ? [] : [{ _tag: "Warning", time, message: warning }]]
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

/** Events of a recipe that makes progress. */
import * as Schema from "effect/Schema"
import { PhaseName } from "../Phase.js"
import { formatDuration } from "../Units.js"
import { event, kind, type New } from "./Kind.js"

/** A provision entered a phase; of several builds, the one named `build` did. */
export const PhaseEntered = event(
  Schema.Literal("phase"),
  PhaseName,
  Schema.Struct({ build: Schema.optionalWith(Schema.String, { exact: true }) })
)
export type PhaseEntered = typeof PhaseEntered.Type
export type NewPhaseEntered = New<typeof PhaseEntered, { readonly attempt: number }>

export const phaseEntered = (options: {
  readonly attempt: number
  readonly phase: PhaseName
  readonly build: string | undefined
  readonly time: number
}): NewPhaseEntered => {
  const { attempt, build, phase, time } = options
  return {
    type: "phase",
    phase,
    message: build === undefined ? phase : `${build}: ${phase}`,
    time,
    data: build === undefined ? {} : { build },
    occurrence: { attempt }
  }
}

/** A provision goes on, and nothing else was reported for a while; `tail` is the last line of its output. */
export const Heartbeat = kind("heartbeat", Schema.Struct({ tail: Schema.NullOr(Schema.String) }))
/** `at` is on the monotonic clock of the term's supervisor, in seconds. */
export type NewHeartbeat = New<
  typeof Heartbeat,
  { readonly attempt: number; readonly term: number; readonly at: number }
>

export const heartbeat = (options: {
  readonly occurrence: NewHeartbeat["occurrence"]
  readonly phase: PhaseName | null
  readonly elapsedSeconds: number
  readonly tail: string | null
}): NewHeartbeat => ({
  type: "heartbeat",
  phase: options.phase,
  message: `${options.phase ?? "waiting"}: ${formatDuration(options.elapsedSeconds)} so far`,
  data: { tail: options.tail },
  occurrence: options.occurrence
})

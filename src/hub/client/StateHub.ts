/** The State Hub as a client: a service that receives progress by workstream and task. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Note } from "../../domain/Note.js"

/**
 * - `unavailable`: it may take the notes later, not before `retryAfterSeconds` if it says so
 * - `misconfigured`: a person must correct its address or the token first; the notes are valid
 * - `refused`: it will never take these notes; of several, one may be the cause
 * @category errors
 */
export class HubError extends Schema.TaggedError<HubError>("sandboxer/HubError")("HubError", {
  reason: Schema.Literal("unavailable", "misconfigured", "refused"),
  message: Schema.String,
  hint: Schema.String,
  retryAfterSeconds: Schema.optional(Schema.Number)
}) {}

/** @category services */
export class StateHub extends Context.Tag("sandboxer/StateHub")<
  StateHub,
  {
    /** Sends notes, in order within a sandbox. A note that the hub already has (by its id) changes nothing. */
    readonly publish: (notes: ReadonlyArray<Note>) => Effect.Effect<void, HubError>
    /** The hub's name for people. Failures are remembered for one hub only. */
    readonly target?: string
    /** A warning about the configuration, although it works. */
    readonly warning?: string
    /** False if there is no hub: then no notes are recorded. */
    readonly tells?: false
  }
>() {}

/** No hub. */
export const noop: StateHub["Type"] = { publish: () => Effect.void, tells: false }

/** @category layers */
export const layerNoop: Layer.Layer<StateHub> = Layer.succeed(StateHub, noop)

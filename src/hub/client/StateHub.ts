/** The service that is told of progress, by workstream and task. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Note } from "../../domain/Note.js"

/**
 * - `unavailable`: it may take the notes later, not before `retryAfterSeconds` where it says so
 * - `misconfigured`: somebody has to mend its address or the token first; the notes are fine
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
    /** Tells the hub; in order within a sandbox, and a note that it has already (by its id) changes nothing. */
    readonly publish: (notes: ReadonlyArray<Note>) => Effect.Effect<void, HubError>
    /** Which one it is, for people: what went wrong with one is forgotten for another. */
    readonly target?: string
    /** What is wrong with how it is told, though it works. */
    readonly warning?: string
    /** False where nobody is told: no notes are kept for it. */
    readonly tells?: false
  }
>() {}

/** Tells nobody. */
export const noop: StateHub["Type"] = { publish: () => Effect.void, tells: false }

/** @category layers */
export const layerNoop: Layer.Layer<StateHub> = Layer.succeed(StateHub, noop)

/** The service that is told of progress, by workstream and task. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Note } from "./domain/Note.js"

/**
 * `unavailable`: it may take the notes later. `refused`: it never will.
 * @category errors
 */
export class HubError extends Schema.TaggedError<HubError>("sandboxer/HubError")("HubError", {
  reason: Schema.Literal("unavailable", "refused"),
  message: Schema.String,
  hint: Schema.String
}) {}

/** @category services */
export class StateHub extends Context.Tag("sandboxer/StateHub")<
  StateHub,
  {
    /** Tells the hub; in order within a sandbox, and a note that it has already (by its id) changes nothing. */
    readonly publish: (notes: ReadonlyArray<Note>) => Effect.Effect<void, HubError>
  }
>() {}

/** Tells nobody. @category layers */
export const layerNoop: Layer.Layer<StateHub> = Layer.succeed(StateHub, { publish: () => Effect.void })

/** A hub that keeps the notes that it receives in memory, each once. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Note } from "../../../domain/Note.js"
import { StateHub } from "../StateHub.js"

/**
 * The notes that the hub received, in order.
 * @category services
 */
export class Notes extends Context.Tag("sandboxer/StateHub/Memory/Notes")<
  Notes,
  Effect.Effect<ReadonlyArray<Note>>
>() {}

/** @category layers */
export const layer: Layer.Layer<StateHub | Notes> = Layer.effectContext(
  Effect.sync(() => {
    const notes = new Map<string, Note>()
    return Context.make(StateHub, {
      publish: (told) =>
        Effect.sync(() => {
          for (const note of told) if (!notes.has(note.id)) notes.set(note.id, note)
        })
    }).pipe(
      Context.add(
        Notes,
        Effect.sync(() => [...notes.values()])
      )
    )
  })
)

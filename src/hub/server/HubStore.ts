/** What a State Hub keeps: notes, each once, numbered as they came. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Note } from "../../domain/Note.js"

/** A note that is kept; a later one has a greater position, and is seen no earlier. */
export interface Kept {
  readonly position: number
  /** RFC 3339. */
  readonly receivedAt: string
  readonly note: Note
}

/** What is asked for: all that is said has to fit. */
export interface Filter {
  readonly workstream?: string | undefined
  readonly task?: string | undefined
  readonly sandbox?: string | undefined
  readonly eventType?: string | undefined
  /** When it happened, in epoch milliseconds; `until` itself is not in it. */
  readonly since?: number | undefined
  readonly until?: number | undefined
}

export interface Page {
  readonly filter: Filter
  readonly order: "oldest" | "newest"
  /** The position that the page begins behind, in its order. */
  readonly cursor?: number | undefined
  readonly limit: number
}

export interface Size {
  readonly notes: number
  readonly bytes: number
}

/** @category errors */
export class HubStoreError extends Schema.TaggedError<HubStoreError>("sandboxer/HubStoreError")(
  "HubStoreError",
  {
    reason: Schema.Literal("not-writable", "newer", "damaged", "busy", "other"),
    message: Schema.String,
    hint: Schema.String
  }
) {}

/** @category services */
export class HubStore extends Context.Tag("sandboxer/HubStore")<
  HubStore,
  {
    /** Keeps those whose id it does not have, all or none, and says how many these were: they outlive a crash from here on. */
    readonly take: (notes: ReadonlyArray<Note>) => Effect.Effect<number, HubStoreError>
    readonly page: (page: Page) => Effect.Effect<ReadonlyArray<Kept>, HubStoreError>
    /** The position of the newest; 0 where there is none. */
    readonly newest: Effect.Effect<number, HubStoreError>
    readonly size: Effect.Effect<Size, HubStoreError>
  }
>() {}

/** The store of a State Hub: notes, each once, numbered in the order of their arrival. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Note } from "../../domain/Note.js"

/** A stored note. A later note has a greater position and never becomes visible before an earlier one. */
export interface Kept {
  readonly position: number
  /** RFC 3339. */
  readonly receivedAt: string
  readonly note: Note
}

/** A query: all given conditions must hold. */
export interface Filter {
  readonly workstream?: string | undefined
  readonly task?: string | undefined
  readonly sandbox?: string | undefined
  readonly eventType?: string | undefined
  /** When it happened, in epoch milliseconds; `until` is exclusive. */
  readonly since?: number | undefined
  readonly until?: number | undefined
}

export interface Page {
  readonly filter: Filter
  readonly order: "oldest" | "newest"
  /** The position after which the page begins, in its order. */
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
    /** Stores the notes with new ids, all or none, and returns their number. From then on they survive a crash. */
    readonly take: (notes: ReadonlyArray<Note>) => Effect.Effect<number, HubStoreError>
    readonly page: (page: Page) => Effect.Effect<ReadonlyArray<Kept>, HubStoreError>
    /** The position of the newest note; 0 if there is none. */
    readonly newest: Effect.Effect<number, HubStoreError>
    readonly size: Effect.Effect<Size, HubStoreError>
  }
>() {}

/** Events of sandboxes, and the notes that go with them. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { Event, identityOf, type NewEvent, numbered } from "../../domain/events/Event.js"
import type { SandboxId } from "../../domain/Sandbox.js"
import type { SandboxStoreShape } from "../SandboxStore.js"
import type { NoteWriter } from "./OutboxSql.js"
import type { Records } from "./records.js"
import type { Query, Rows } from "./rows.js"

export interface Events extends Pick<SandboxStoreShape, "events" | "identities" | "allEvents"> {
  /** Writes an event that is not there yet, and its note for the State Hub. */
  readonly append: (id: SandboxId, event: NewEvent) => Query<void>
}

export const makeEvents = (
  { documents, run, sql }: Rows,
  { planOf, record }: Pick<Records, "planOf" | "record">,
  writeNote: NoteWriter
): Events => {
  const { read, write } = documents(Event)

  /** The start and the phases, before `seq`, of the attempt that it belongs to. */
  const earlierPhases = (id: SandboxId, seq: number) =>
    Effect.gen(function* () {
      const rows = yield* sql<{ readonly document: string }>`SELECT document FROM events
        WHERE sandbox_id = ${id} AND seq < ${seq}
          AND document ->> 'type' IN ('provisioning', 'phase') ORDER BY seq`
      const events = yield* Effect.forEach(rows, ({ document }) => read(document))
      return events.slice(
        Math.max(
          0,
          events.findLastIndex(({ type }) => type === "provisioning")
        )
      )
    })

  return {
    append: (id, event) =>
      Effect.gen(function* () {
        const now = yield* DateTime.now
        const identity = identityOf(event)
        const [row] = yield* sql<{
          readonly known: 1 | null
          readonly seq: number
          readonly notes: string | null
        }>`SELECT
            (SELECT 1 FROM events WHERE sandbox_id = ${id} AND identity = ${identity}) AS known,
            (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE sandbox_id = ${id}) AS seq,
            (SELECT plan ->> '$.hub.notes' FROM sandboxes WHERE id = ${id}) AS notes`
        if (row === undefined || row.known !== null) return
        const { notes, seq } = row
        const made = numbered(id, seq, event, now)
        yield* sql`INSERT INTO events (sandbox_id, seq, identity, document)
          VALUES (${id}, ${seq}, ${identity}, ${yield* write(made)})`
        // Without a hub, which is usual, nothing more has to be read.
        if ((notes ?? "none") === "none") return
        const sandbox = yield* record(id)
        const plan = yield* planOf(id)
        if (sandbox === undefined || plan === undefined) return
        yield* writeNote({ event: made, plan, sandbox }, earlierPhases(id, seq))
      }),
    events: (id, after) =>
      run(
        Effect.flatMap(
          sql<{ readonly document: string }>`
            SELECT document FROM events WHERE sandbox_id = ${id} AND seq > ${after} ORDER BY seq`,
          Effect.forEach(({ document }) => read(document))
        )
      ),
    identities: (id) =>
      run(
        Effect.map(
          sql<{ readonly identity: string }>`SELECT identity FROM events WHERE sandbox_id = ${id}`,
          (rows) => new Set(rows.map(({ identity }) => identity))
        )
      ),
    allEvents: (after) =>
      run(
        Effect.gen(function* () {
          const rows = yield* sql<{ readonly document: string; readonly position: number }>`
            SELECT document, position FROM events WHERE position > ${after} ORDER BY position`
          const events = yield* Effect.forEach(rows, ({ document }) => read(document))
          return { events, position: rows.at(-1)?.position ?? after }
        })
      )
  }
}

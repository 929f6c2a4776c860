/** The outbox in the SQL database: a row a note, and one row for who delivers. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Holder } from "../../domain/Holder.js"
import { isNotified, looksBack, Note, noteOf } from "../../domain/Note.js"
import { neverDelivered, type Sender } from "../../domain/Outbox.js"
import type { Plan } from "../../domain/Plan.js"
import type { ProgressEvent } from "../../domain/ProgressEvent.js"
import type { Sandbox, SandboxId } from "../../domain/Sandbox.js"
import type { OutboxShape, StoreError } from "../SandboxStore.js"

/** A note that was delivered keeps its row and loses its text: the event has all of it. */
export const migration = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    sandbox_id TEXT NOT NULL REFERENCES sandboxes (id),
    event_type TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    document TEXT NOT NULL
  )`
  yield* sql`CREATE INDEX outbox_state ON outbox (state, position)`
  yield* sql`CREATE INDEX outbox_sandbox ON outbox (sandbox_id, event_type, position)`
  yield* sql`CREATE TABLE sender (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    term INTEGER NOT NULL,
    holder TEXT NOT NULL,
    renewed_at INTEGER NOT NULL,
    delivering TEXT NOT NULL
  )`
})

const NoteJson = Schema.parseJson(Note)
const HolderJson = Schema.parseJson(Schema.NullOr(Holder))
const DeliveringJson = Schema.parseJson(
  Schema.Struct({
    failures: Schema.Int,
    nextTryAt: Schema.NullOr(Schema.Number),
    paused: Schema.Boolean,
    target: Schema.NullOr(Schema.String),
    answer: Schema.NullOr(Schema.String),
    answeredAt: Schema.NullOr(Schema.Number)
  })
)

/** What the store has for reading and writing rows. */
export interface Rows {
  readonly sql: SqlClient.SqlClient
  readonly decode: <A>(schema: Schema.Schema<A, string>, text: string) => Effect.Effect<A, StoreError>
  readonly encode: <A>(schema: Schema.Schema<A, string>, value: A) => Effect.Effect<string>
  readonly run: <A>(effect: Effect.Effect<A, SqlError | StoreError>) => Effect.Effect<A, StoreError>
  readonly transaction: <A>(effect: Effect.Effect<A, SqlError | StoreError>) => Effect.Effect<A, StoreError>
}

/**
 * Writes the note of an event, where it is to be told, in the transaction that it is called in. `earlier` gives the
 * sandbox's events of some types, in order.
 */
export const write = (
  { encode, sql }: Pick<Rows, "encode" | "sql">,
  {
    event,
    plan: { hub },
    sandbox
  }: { readonly event: ProgressEvent; readonly plan: Plan; readonly sandbox: Sandbox },
  earlier: Effect.Effect<ReadonlyArray<ProgressEvent>, SqlError | StoreError>
): Effect.Effect<void, SqlError | StoreError> =>
  Effect.gen(function* () {
    const [heartbeat] =
      event.type === "heartbeat"
        ? yield* sql<{ readonly occurred_at: number }>`SELECT occurred_at FROM outbox
            WHERE sandbox_id = ${sandbox.id} AND event_type = 'heartbeat' ORDER BY position DESC LIMIT 1`
        : []
    if (!isNotified(hub, event, heartbeat?.occurred_at)) return
    const note = noteOf(sandbox, hub, event, looksBack.includes(event.type) ? yield* earlier : [])
    yield* sql`INSERT INTO outbox (id, sandbox_id, event_type, occurred_at, document)
      VALUES (${note.id}, ${sandbox.id}, ${event.type}, ${DateTime.toEpochMillis(event.time)},
        ${yield* encode(NoteJson, note)})`
  })

export const make = ({ decode, encode, run, sql, transaction }: Rows): OutboxShape => {
  const sender: Effect.Effect<Sender, SqlError | StoreError> = Effect.gen(function* () {
    const [row] = yield* sql<{
      readonly term: number
      readonly holder: string
      readonly renewed_at: number
      readonly delivering: string
    }>`SELECT term, holder, renewed_at, delivering FROM sender`
    return row === undefined
      ? { term: 0, holder: null, renewedAt: 0, delivering: neverDelivered }
      : {
          term: row.term,
          holder: yield* decode(HolderJson, row.holder),
          renewedAt: row.renewed_at,
          delivering: yield* decode(DeliveringJson, row.delivering)
        }
  })
  const now = Effect.map(DateTime.now, DateTime.toEpochMillis)

  return {
    peek: run(
      Effect.gen(function* () {
        const rows = yield* sql`SELECT 1 FROM outbox WHERE state = 'waiting' LIMIT 1`
        return { waits: rows.length > 0, sender: yield* sender }
      })
    ),
    status: transaction(
      Effect.gen(function* () {
        const rows = yield* sql<{ readonly state: string; readonly number: number }>`
          SELECT state, count(*) AS number FROM outbox GROUP BY state`
        const number = (state: string) => rows.find((row) => row.state === state)?.number ?? 0
        return {
          waiting: number("waiting"),
          delivered: number("delivered"),
          refused: number("refused"),
          sender: yield* sender
        }
      })
    ),
    waiting: (most) =>
      run(
        Effect.flatMap(
          sql<{ readonly position: number; readonly document: string }>`SELECT position, document FROM outbox
            WHERE state = 'waiting' ORDER BY position LIMIT ${most}`,
          Effect.forEach(({ document, position }) =>
            Effect.map(decode(NoteJson, document), (note) => ({ position, note }))
          )
        )
      ),
    unsent: run(
      Effect.map(
        sql<{
          readonly sandbox_id: SandboxId
        }>`SELECT DISTINCT sandbox_id FROM outbox WHERE state = 'waiting'`,
        (rows) => new Set(rows.map(({ sandbox_id }) => sandbox_id))
      )
    ),
    refused: run(
      Effect.flatMap(
        sql<{ readonly document: string; readonly attempts: number; readonly reason: string | null }>`
          SELECT document, attempts, reason FROM outbox WHERE state = 'refused' ORDER BY position`,
        Effect.forEach(({ attempts, document, reason }) =>
          Effect.map(decode(NoteJson, document), (note) => ({ note, attempts, reason: reason ?? "" }))
        )
      )
    ),
    take: (holder, seen) =>
      transaction(
        Effect.gen(function* () {
          const current = yield* sender
          if (current.term !== seen) return undefined
          const term = seen + 1
          yield* sql`INSERT INTO sender (id, term, holder, renewed_at, delivering)
            VALUES (1, ${term}, ${yield* encode(HolderJson, holder)}, ${yield* now},
              ${yield* encode(DeliveringJson, current.delivering)})
            ON CONFLICT (id) DO UPDATE SET term = excluded.term, holder = excluded.holder,
              renewed_at = excluded.renewed_at`
          return term
        })
      ),
    settle: (term, { again, delivered, delivering, refused }) =>
      transaction(
        Effect.gen(function* () {
          if ((yield* sender).term !== term) return false
          if (delivered.length > 0) {
            yield* sql`UPDATE outbox SET state = 'delivered', attempts = attempts + 1, document = ''
              WHERE ${sql.in("position", delivered)}`
          }
          if (again.length > 0) {
            yield* sql`UPDATE outbox SET attempts = attempts + 1 WHERE ${sql.in("position", again)}`
          }
          if (refused !== undefined) {
            yield* sql`UPDATE outbox SET state = 'refused', attempts = attempts + 1, reason = ${refused.reason}
              WHERE position = ${refused.position}`
          }
          yield* sql`UPDATE sender SET renewed_at = ${yield* now},
            delivering = ${yield* encode(DeliveringJson, delivering)}`
          return true
        })
      ),
    release: (term) => run(Effect.asVoid(sql`UPDATE sender SET holder = 'null' WHERE term = ${term}`)),
    retry: (ids) =>
      transaction(
        Effect.gen(function* () {
          const which = ids.length === 0 ? sql`1 = 1` : sql.in("id", ids)
          const rows = yield* sql`UPDATE outbox SET state = 'waiting', reason = NULL
            WHERE state = 'refused' AND ${which} RETURNING position`
          return rows.length
        })
      )
  }
}

/** The outbox in the SQL database: a row a note, and one row for who delivers. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Event } from "../../domain/events/Event.js"
import { isNotified, looksBack, Note, noteOf } from "../../domain/Note.js"
import { type Delivering, neverDelivered } from "../../domain/Outbox.js"
import type { Plan } from "../../domain/Plan.js"
import type { Sandbox } from "../../domain/Sandbox.js"
import type { OutboxShape } from "../SandboxStore.js"
import { leaseInRow } from "./leases.js"
import type { Query, Rows } from "./rows.js"

const DeliveringDocument = Schema.Struct({
  failures: Schema.Int,
  nextTryAt: Schema.NullOr(Schema.Number),
  paused: Schema.Boolean,
  target: Schema.NullOr(Schema.String),
  answer: Schema.NullOr(Schema.String),
  answeredAt: Schema.NullOr(Schema.Number)
})

/**
 * Writes the note of an event, where the plan wants the hub notified of it, in the transaction of the event. `earlier`
 * gives the start and the phases of its attempt, in order.
 */
export type NoteWriter = (
  about: { readonly event: Event; readonly plan: Plan; readonly sandbox: Sandbox },
  earlier: Query<ReadonlyArray<Event>>
) => Query<void>

export const makeWriter = ({ documents, sql }: Rows): NoteWriter => {
  const notes = documents(Note)
  return ({ event, plan: { hub }, sandbox }, earlier) =>
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
          ${yield* notes.write(note)})`
    })
}

export const make = (rows: Rows): OutboxShape => {
  const { documents, run, sql, transaction } = rows
  const notes = documents(Note)
  const deliveries = documents(DeliveringDocument)
  const lastDelivery: Query<Delivering> = Effect.flatMap(
    sql<{ readonly delivering: string }>`SELECT delivering FROM sender`,
    ([row]) => (row === undefined ? Effect.succeed(neverDelivered) : deliveries.read(row.delivering))
  )
  const now = Effect.map(DateTime.now, DateTime.toEpochMillis)

  return {
    peek: run(
      Effect.gen(function* () {
        const waiting = yield* sql`SELECT 1 FROM outbox WHERE state = 'waiting' LIMIT 1`
        return { waits: waiting.length > 0, delivering: yield* lastDelivery }
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
          delivering: yield* lastDelivery
        }
      })
    ),
    waiting: (most) =>
      run(
        Effect.flatMap(
          sql<{ readonly position: number; readonly document: string }>`SELECT position, document FROM outbox
            WHERE state = 'waiting' ORDER BY position LIMIT ${most}`,
          Effect.forEach(({ document, position }) =>
            Effect.map(notes.read(document), (note) => ({ position, note }))
          )
        )
      ),
    isUnsent: (id) =>
      run(
        Effect.map(
          sql`SELECT 1 FROM outbox WHERE sandbox_id = ${id} AND state = 'waiting' LIMIT 1`,
          (rows) => rows.length > 0
        )
      ),
    refused: run(
      Effect.flatMap(
        sql<{ readonly document: string; readonly attempts: number; readonly reason: string | null }>`
          SELECT document, attempts, reason FROM outbox WHERE state = 'refused' ORDER BY position`,
        Effect.forEach(({ attempts, document, reason }) =>
          Effect.map(notes.read(document), (note) => ({ note, attempts, reason: reason ?? "" }))
        )
      )
    ),
    lease: leaseInRow(rows, {
      read: sql`SELECT term, holder, renewed_at AS heartbeat FROM sender`,
      take: (holder, seen) =>
        Effect.flatMap(
          Effect.all([now, deliveries.write(neverDelivered)]),
          ([at, delivering]) => sql`
            INSERT INTO sender (id, term, holder, renewed_at, delivering)
            VALUES (1, ${seen + 1}, ${holder}, ${at}, ${delivering})
            ON CONFLICT (id) DO UPDATE SET term = excluded.term, holder = excluded.holder,
              renewed_at = excluded.renewed_at
            WHERE sender.term = ${seen} RETURNING term`
        ),
      renew: (term) =>
        Effect.flatMap(
          now,
          (at) => sql`UPDATE sender SET renewed_at = ${at} WHERE term = ${term} RETURNING term`
        ),
      release: (term) => sql`UPDATE sender SET holder = 'null' WHERE term = ${term}`
    }),
    settle: (term, { again, delivered, delivering, refused }) =>
      transaction(
        Effect.gen(function* () {
          const current = yield* sql`SELECT 1 FROM sender WHERE term = ${term}`
          if (current.length === 0) return false
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
          yield* sql`UPDATE sender SET delivering = ${yield* deliveries.write(delivering)}`
          return true
        })
      ),
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

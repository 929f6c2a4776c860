/** The outbox in memory: its rows, and what is written with an event. */
import type * as Effect from "effect/Effect"
import { isNotified, type Note, noteOf } from "../../domain/Note.js"
import { neverDelivered, type Sender } from "../../domain/Outbox.js"
import type { Plan } from "../../domain/Plan.js"
import type { ProgressEvent } from "../../domain/ProgressEvent.js"
import { type Sandbox, SandboxId } from "../../domain/Sandbox.js"
import type { OutboxShape } from "../SandboxStore.js"

interface Row {
  readonly position: number
  readonly note: Note
  readonly state: "waiting" | "delivered" | "refused"
  readonly attempts: number
  readonly reason: string
}

/** Never changed, but replaced as a whole. */
export interface Outbox {
  /** By their positions, of which none is used again. */
  readonly rows: ReadonlyArray<Row>
  readonly next: number
  readonly sender: Sender
}

export const empty: Outbox = {
  rows: [],
  next: 0,
  sender: { term: 0, holder: null, renewedAt: 0, delivering: neverDelivered }
}

/** The outbox with the note of an event, where it is to be told; `events` are those of its sandbox before it. */
export const write = (
  outbox: Outbox,
  event: ProgressEvent,
  { hub }: Plan,
  sandbox: Sandbox,
  events: ReadonlyArray<ProgressEvent>
): Outbox => {
  const heartbeat = outbox.rows.findLast(
    ({ note }) => note.sandbox_id === sandbox.id && note.event_type === "heartbeat"
  )
  const last = heartbeat === undefined ? undefined : Date.parse(heartbeat.note.occurred_at)
  if (!isNotified(hub, event, last)) return outbox
  const earlier = events.slice(
    Math.max(
      0,
      events.findLastIndex(({ type }) => type === "provisioning")
    )
  )
  const note = noteOf(sandbox, hub, event, earlier)
  const row: Row = { position: outbox.next, note, state: "waiting", attempts: 0, reason: "" }
  return { ...outbox, rows: [...outbox.rows, row], next: outbox.next + 1 }
}

/** Sandboxes of which a note waits. */
export const untold = ({ rows }: Outbox): ReadonlySet<SandboxId> =>
  new Set(rows.flatMap(({ note, state }) => (state === "waiting" ? [SandboxId.make(note.sandbox_id)] : [])))

/** The outbox without what is told of a sandbox. */
export const without = (outbox: Outbox, id: SandboxId): Outbox => ({
  ...outbox,
  rows: outbox.rows.filter(({ note }) => note.sandbox_id !== id)
})

/** `modify` does its work at once, as a transaction. */
export const make = (
  modify: <A>(change: (outbox: Outbox, now: number) => readonly [A, Outbox]) => Effect.Effect<A>
): OutboxShape => {
  const read = <A>(look: (outbox: Outbox) => A) => modify((outbox) => [look(outbox), outbox] as const)
  const number = ({ rows }: Outbox, state: Row["state"]) => rows.filter((row) => row.state === state).length
  return {
    peek: read((outbox) => ({ waits: number(outbox, "waiting") > 0, sender: outbox.sender })),
    status: read((outbox) => ({
      waiting: number(outbox, "waiting"),
      delivered: number(outbox, "delivered"),
      refused: number(outbox, "refused"),
      sender: outbox.sender
    })),
    waiting: (most) =>
      read(({ rows }) =>
        rows
          .flatMap(({ note, position, state }) => (state === "waiting" ? [{ position, note }] : []))
          .slice(0, most)
      ),
    unsent: read(untold),
    refused: read(({ rows }) => rows.filter(({ state }) => state === "refused")),
    take: (holder, seen) =>
      modify((outbox, now) => {
        if (outbox.sender.term !== seen) return [undefined, outbox]
        const term = seen + 1
        return [term, { ...outbox, sender: { ...outbox.sender, term, holder, renewedAt: now } }]
      }),
    settle: (term, { again, delivered, delivering, refused }) =>
      modify((outbox, now) => {
        if (outbox.sender.term !== term) return [false, outbox]
        const rows = outbox.rows.map((row): Row => {
          const { position } = row
          if (delivered.includes(position)) return { ...row, state: "delivered", attempts: row.attempts + 1 }
          if (refused?.position === position) {
            return { ...row, state: "refused", attempts: row.attempts + 1, reason: refused.reason }
          }
          return again.includes(position) ? { ...row, attempts: row.attempts + 1 } : row
        })
        return [true, { ...outbox, rows, sender: { ...outbox.sender, renewedAt: now, delivering } }]
      }),
    release: (term) =>
      modify((outbox) => [
        undefined,
        outbox.sender.term === term ? { ...outbox, sender: { ...outbox.sender, holder: null } } : outbox
      ]),
    retry: (ids) =>
      modify((outbox) => {
        const meant = ({ note, state }: Row) =>
          state === "refused" && (ids.length === 0 || ids.includes(note.id))
        const rows = outbox.rows.map(
          (row): Row => (meant(row) ? { ...row, state: "waiting", reason: "" } : row)
        )
        return [outbox.rows.filter(meant).length, { ...outbox, rows }]
      })
  }
}

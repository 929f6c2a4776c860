/** The store in an SQL database: each part has its tables, and what is written together is put together here. */
import * as Path from "@effect/platform/Path"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { cancelling } from "../../domain/events/Event.js"
import { mayRetry, resetForRetry } from "../../domain/Sandbox.js"
import * as Sqlite from "../../internal/Sqlite.js"
import { Settings } from "../../settings/Settings.js"
import { Timing } from "../../settings/Timing.js"
import { nameTaken, SandboxStore, type SandboxStoreShape } from "../SandboxStore.js"
import { makeClaims } from "./claims.js"
import { makeEvents } from "./events.js"
import { makeJournal } from "./journal.js"
import { makeLeases } from "./leases.js"
import { additions, migrations } from "./migrations.js"
import * as Outbox from "./OutboxSql.js"
import { makeRecords } from "./records.js"
import { makeRows } from "./rows.js"

/** The store over any SqlClient that has been migrated with `migrations`. */
const over = (filename: string): Effect.Effect<SandboxStoreShape, never, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const rows = yield* makeRows(filename)
    const { run, sql, transaction } = rows
    const { insert, livingAs, planOf, record, update, ...records } = makeRecords(rows)
    const outbox = Outbox.make(rows)
    const { append, ...events } = makeEvents(rows, { planOf, record }, Outbox.makeWriter(rows))
    const { fenced, lease: leaseOf } = makeLeases(rows)
    const { writeLog, writeStep, ...journal } = makeJournal(rows)

    return {
      ...records,
      ...events,
      lease: leaseOf,
      ...journal,
      ...makeClaims(rows, fenced),
      outbox,
      create: (sandbox, plan, ...first) =>
        Effect.gen(function* () {
          const taken = yield* transaction(
            Effect.gen(function* () {
              const other = yield* livingAs(sandbox.name)
              if (other !== undefined) return other
              yield* insert(sandbox, plan)
              yield* Effect.forEach(first, (event) => append(sandbox.id, event), { discard: true })
              return undefined
            })
          )
          if (taken !== undefined) return yield* nameTaken(sandbox.name, taken)
        }),
      requestCancel: (id) =>
        transaction(
          Effect.gen(function* () {
            yield* sql`UPDATE sandboxes SET cancel_requested = 1 WHERE id = ${id}`
            const sandbox = yield* record(id)
            yield* append(id, cancelling(sandbox?.attempt ?? 0, sandbox?.phase?.name ?? null))
          })
        ),
      cancelRequested: (id) =>
        run(
          Effect.map(
            sql<{ readonly asked: number }>`SELECT cancel_requested AS asked FROM sandboxes WHERE id = ${id}`,
            ([row]) => row?.asked === 1
          )
        ),
      commit: (lease, { change, events: said = [], log, release, step }) =>
        transaction(
          Effect.gen(function* () {
            const { id, term } = lease
            yield* fenced(lease)
            if (change !== undefined) yield* update(id, change)
            if (step !== undefined) yield* writeStep(id, step)
            if (log !== undefined) yield* writeLog(id, log)
            yield* Effect.forEach(said, (event) => append(id, event), { discard: true })
            if (release === true) yield* leaseOf(id).release(term)
          })
        ),
      transition: (id, from, fields, event, when = () => true) =>
        transaction(
          Effect.gen(function* () {
            const sandbox = yield* record(id)
            if (sandbox === undefined || !from.includes(sandbox.state) || !when(sandbox)) return false
            yield* update(id, fields)
            yield* append(id, event)
            return true
          })
        ),
      beginAttempt: (id, attempt, event) =>
        Effect.gen(function* () {
          const began = yield* transaction(
            Effect.gen(function* () {
              const sandbox = yield* record(id)
              if (sandbox === undefined || !mayRetry(sandbox, attempt)) return false
              const { name } = sandbox
              const by = yield* livingAs(name)
              if (by !== undefined) return nameTaken(name, by)
              yield* sql`UPDATE sandboxes SET cancel_requested = 0 WHERE id = ${id}`
              yield* update(id, resetForRetry(attempt))
              yield* append(id, event)
              return true
            })
          )
          return typeof began === "boolean" ? began : yield* began
        }),
      forget: (id, when) =>
        transaction(
          Effect.gen(function* () {
            const sandbox = yield* record(id)
            if (sandbox === undefined || !when(sandbox, yield* outbox.isUnsent(id))) return false
            for (const table of ["outbox", "claims", "events", "leases", "logs", "steps"]) {
              yield* sql`DELETE FROM ${sql(table)} WHERE sandbox_id = ${id}`
            }
            yield* sql`DELETE FROM sandboxes WHERE id = ${id}`
            return true
          })
        )
    }
  })

/** A store in memory, and its database as bytes: another one that is made of them begins where it was. */
export interface MemoryStore {
  readonly store: SandboxStoreShape
  readonly image: Sqlite.SqliteClient["image"]
}

/**
 * A store of its own, in memory: it ends with its scope.
 * @category constructors
 */
export const makeMemory = (image?: Uint8Array): Effect.Effect<MemoryStore, never, Scope.Scope> =>
  Effect.gen(function* () {
    const filename = ":memory:"
    const sql = yield* Sqlite.make({
      additions,
      filename,
      migrations,
      limits: (yield* Timing).database,
      ...(image === undefined ? {} : { image })
    })
    const store = yield* Effect.provideService(over(filename), SqlClient.SqlClient, sql)
    return { store, image: sql.image }
  })

/**
 * A store of its own, in memory: for tests, and for programs that keep nothing.
 * @category layers
 */
export const layerMemory: Layer.Layer<SandboxStore> = Layer.scoped(
  SandboxStore,
  Effect.map(makeMemory(), ({ store }) => store)
)

/**
 * The store in `sandboxer.db` of the state directory. Both are created, private to the user, when the store is first used:
 * a command that only plans leaves nothing behind. Where they cannot be opened, each use fails with a `StoreError`.
 * @category layers
 */
export const layer: Layer.Layer<SandboxStore, never, Settings | Path.Path> = Layer.scoped(
  SandboxStore,
  Effect.gen(function* () {
    const path = yield* Path.Path
    const { home } = yield* Settings
    const filename = path.join(home, "sandboxer.db")
    const sql = yield* Sqlite.make({
      additions,
      filename,
      migrations,
      limits: (yield* Timing).database,
      makeFolder: true
    })
    return yield* Effect.provideService(over(filename), SqlClient.SqlClient, sql)
  })
)

/** The store in an SQL database. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Holder } from "../../domain/Holder.js"
import { HostPathFromString } from "../../domain/HostPath.js"
import { Plan } from "../../domain/Plan.js"
import { type NewEvent, numbered, ProgressEvent } from "../../domain/ProgressEvent.js"
import {
  change,
  hasEnded,
  isLiving,
  mayRetry,
  resetForRetry,
  Sandbox,
  type SandboxChange,
  type SandboxId
} from "../../domain/Sandbox.js"
import * as Sqlite from "../../internal/Sqlite.js"
import { Settings } from "../../settings/Settings.js"
import {
  type Claimant,
  isNext,
  type Lease,
  nameTaken,
  SandboxStore,
  type SandboxStoreShape,
  StoreError
} from "../SandboxStore.js"
import * as Outbox from "./OutboxSql.js"

/** Each runs once; a later program adds to them and changes none. */
const migrations: Sqlite.Migrations = {
  "1_sandboxes": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE sandboxes (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL,
      living INTEGER NOT NULL,
      created_at TEXT NOT NULL,
      document TEXT NOT NULL,
      plan TEXT NOT NULL,
      cancel_requested INTEGER NOT NULL DEFAULT 0
    )`
    yield* sql`CREATE UNIQUE INDEX sandboxes_living_name ON sandboxes (name) WHERE living = 1`
    yield* sql`CREATE TABLE leases (
      sandbox_id TEXT PRIMARY KEY REFERENCES sandboxes (id),
      term INTEGER NOT NULL,
      holder TEXT NOT NULL,
      beat INTEGER NOT NULL
    )`
    yield* sql`CREATE TABLE steps (
      sandbox_id TEXT NOT NULL REFERENCES sandboxes (id),
      attempt INTEGER NOT NULL,
      key TEXT NOT NULL,
      document TEXT NOT NULL,
      PRIMARY KEY (sandbox_id, attempt, key)
    )`
    yield* sql`CREATE TABLE events (
      position INTEGER PRIMARY KEY AUTOINCREMENT,
      sandbox_id TEXT NOT NULL REFERENCES sandboxes (id),
      seq INTEGER NOT NULL,
      identity TEXT NOT NULL,
      document TEXT NOT NULL,
      UNIQUE (sandbox_id, seq),
      UNIQUE (sandbox_id, identity)
    )`
    yield* sql`CREATE TABLE logs (
      sandbox_id TEXT PRIMARY KEY REFERENCES sandboxes (id),
      document TEXT NOT NULL
    )`
  }),
  "3_claims": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE claims (
      ticket INTEGER PRIMARY KEY AUTOINCREMENT,
      sandbox_id TEXT NOT NULL REFERENCES sandboxes (id),
      resource TEXT NOT NULL,
      UNIQUE (resource, sandbox_id)
    )`
    yield* sql`CREATE INDEX claims_sandbox ON claims (sandbox_id)`
  }),
  "4_outbox": Outbox.migration,
  // What a program from before claims counts as held: it knows no better.
  "5_held_claims": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`ALTER TABLE claims ADD COLUMN held INTEGER NOT NULL DEFAULT 1`
  })
}

const SandboxJson = Schema.parseJson(Sandbox)
const PlanJson = Schema.parseJson(Plan)
const EventJson = Schema.parseJson(ProgressEvent)
const HolderJson = Schema.parseJson(Schema.NullOr(Holder))
const StepJson = Schema.parseJson(
  Schema.Struct({
    attempt: Schema.Int,
    key: Schema.String,
    job: Schema.NullOr(
      Schema.Struct({ folder: HostPathFromString, stop: Schema.Literal("leader", "group") })
    ),
    result: Schema.NullOr(Schema.Struct({ value: Schema.Unknown }))
  })
)
const LogJson = Schema.parseJson(
  Schema.Struct({
    attempt: Schema.optional(Schema.Int),
    path: Schema.String,
    length: Schema.Number,
    offsets: Schema.Record({ key: Schema.String, value: Schema.Number }),
    earlier: Schema.optional(Schema.Array(Schema.String))
  })
)

const causeOf = (error: unknown): { readonly code: string; readonly message: string } =>
  typeof error === "object" && error !== null && "cause" in error
    ? causeOf(error.cause)
    : {
        code: typeof error === "object" && error !== null && "code" in error ? String(error.code) : "",
        message: error instanceof Error ? error.message : String(error)
      }

const storeError = (error: SqlError | StoreError): StoreError => {
  if (error._tag === "StoreError") return error
  const { code, message } = causeOf(error)
  return /^SQLITE_(CORRUPT|NOTADB)/.test(code)
    ? new StoreError({
        reason: "damaged",
        message: `the database is damaged: ${message}`,
        hint: "restore a backup of it"
      })
    : /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN)/.test(code)
      ? new StoreError({
          reason: "not-writable",
          message: `the database cannot be written: ${message}`,
          hint: "check the disk's space and the folder's permissions"
        })
      : /^SQLITE_BUSY/.test(code)
        ? new StoreError({
            reason: "busy",
            message: "another process keeps the database locked",
            hint: "run the command again"
          })
        : new StoreError({
            reason: "other",
            message: `the database failed: ${message}`,
            hint: "see `sandboxer doctor`"
          })
}

/** The store over any SqlClient that has been migrated with `migrations`. */
const make: Effect.Effect<SandboxStoreShape, never, SqlClient.SqlClient> = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const decode = <A>(schema: Schema.Schema<A, string>, text: string) =>
    Effect.mapError(
      Schema.decode(schema)(text),
      (error) =>
        new StoreError({
          reason: "damaged",
          message: `a record cannot be read: ${error.message}`,
          hint: "restore a backup of the database"
        })
    )
  const encode = <A>(schema: Schema.Schema<A, string>, value: A) => Effect.orDie(Schema.encode(schema)(value))
  /** Documents of a kind; the last one that was read or written is not read again, as most are a few times in a row. */
  const documents = <A>(schema: Schema.Schema<A, string>) => {
    let last: { readonly text: string; readonly value: A } | undefined
    return {
      read: (text: string) =>
        last?.text === text
          ? Effect.succeed(last.value)
          : Effect.map(decode(schema, text), (value) => {
              last = { text, value }
              return value
            }),
      write: (value: A) =>
        Effect.map(encode(schema, value), (text) => {
          last = { text, value }
          return text
        })
    }
  }
  const records = documents(SandboxJson)
  const plans = documents(PlanJson)
  const run = <A>(effect: Effect.Effect<A, SqlError | StoreError>) => Effect.mapError(effect, storeError)
  const transaction = <A>(effect: Effect.Effect<A, SqlError | StoreError>) => run(sql.withTransaction(effect))

  const document = (id: SandboxId) =>
    Effect.flatMap(
      sql<{ readonly document: string }>`SELECT document FROM sandboxes WHERE id = ${id}`,
      ([row]) => (row === undefined ? Effect.as(Effect.void, undefined) : records.read(row.document))
    )

  const planOf = (id: SandboxId) =>
    Effect.flatMap(sql<{ readonly plan: string }>`SELECT plan FROM sandboxes WHERE id = ${id}`, ([row]) =>
      row === undefined ? Effect.as(Effect.void, undefined) : plans.read(row.plan)
    )

  const update = (id: SandboxId, fields: SandboxChange) =>
    Effect.gen(function* () {
      const before = yield* document(id)
      if (before === undefined) return
      const after = change(before, fields)
      yield* sql`UPDATE sandboxes SET name = ${after.name}, living = ${isLiving(after.state) ? 1 : 0},
        document = ${yield* records.write(after)} WHERE id = ${id}`
      if (hasEnded(after.state)) yield* sql`DELETE FROM claims WHERE sandbox_id = ${id}`
    })

  const append = (id: SandboxId, event: NewEvent) =>
    Effect.gen(function* () {
      const now = yield* DateTime.now
      const [row] = yield* sql<{
        readonly known: number
        readonly seq: number
        readonly notes: string | null
      }>`SELECT
          EXISTS (SELECT 1 FROM events WHERE sandbox_id = ${id} AND identity = ${event.identity}) AS known,
          (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE sandbox_id = ${id}) AS seq,
          (SELECT plan ->> '$.hub.notes' FROM sandboxes WHERE id = ${id}) AS notes`
      if (row === undefined || row.known === 1) return
      const { notes, seq } = row
      const made = numbered(id, seq, event, now)
      yield* sql`INSERT INTO events (sandbox_id, seq, identity, document)
        VALUES (${id}, ${seq}, ${event.identity}, ${yield* encode(EventJson, made)})`
      // Without a hub, which is usual, nothing more has to be read.
      if ((notes ?? "none") === "none") return
      const sandbox = yield* document(id)
      const plan = yield* planOf(id)
      if (sandbox === undefined || plan === undefined) return
      yield* Outbox.write({ encode, sql }, { event: made, plan, sandbox }, earlierPhases(id, seq))
    })

  /** What tells of the begin and the phases of the attempt that an event belongs to. */
  const earlierPhases = (id: SandboxId, before: number) =>
    Effect.gen(function* () {
      const rows = yield* sql<{ readonly document: string }>`SELECT document FROM events
        WHERE sandbox_id = ${id} AND seq < ${before}
          AND document ->> 'type' IN ('provisioning', 'phase') ORDER BY seq`
      const events = yield* Effect.forEach(rows, (row) => decode(EventJson, row.document))
      return events.slice(
        Math.max(
          0,
          events.findLastIndex(({ type }) => type === "provisioning")
        )
      )
    })

  const held = (id: SandboxId) =>
    Effect.flatMap(
      sql<{ readonly term: number; readonly holder: string; readonly beat: number }>`
        SELECT term, holder, beat FROM leases WHERE sandbox_id = ${id}`,
      ([row]) =>
        row === undefined
          ? Effect.as(Effect.void, undefined)
          : Effect.map(decode(HolderJson, row.holder), (holder) => ({
              term: row.term,
              beat: row.beat,
              holder
            }))
    )

  const line = (resource: string) =>
    Effect.map(
      sql<{ readonly id: SandboxId; readonly name: string; readonly held: number }>`
        SELECT sandboxes.id, name, held FROM claims JOIN sandboxes ON sandboxes.id = claims.sandbox_id
        WHERE resource = ${resource}
        ORDER BY held DESC, (
          SELECT max(position) FROM events
          WHERE events.sandbox_id = sandboxes.id AND document ->> 'type' = 'requested'
        )`,
      (rows) => rows.map(({ held, id, name }): Claimant => ({ id, name, holds: held === 1 }))
    )

  const fenced = ({ id, term }: Lease) =>
    Effect.gen(function* () {
      const [row] = yield* sql<{ readonly term: number }>`SELECT term FROM leases WHERE sandbox_id = ${id}`
      if (row?.term !== term) {
        return yield* new StoreError({
          reason: "lease-lost",
          message: `another supervisor took ${id} over`,
          hint: `follow it with \`sandboxer watch ${id}\``
        })
      }
    })

  return {
    create: (sandbox, plan, ...events) =>
      Effect.gen(function* () {
        const taken = yield* transaction(
          Effect.gen(function* () {
            const [other] = yield* sql<{ readonly id: string }>`
              SELECT id FROM sandboxes WHERE name = ${sandbox.name} AND living = 1`
            if (other !== undefined) return other.id
            yield* sql`INSERT INTO sandboxes (id, name, living, created_at, document, plan)
              VALUES (${sandbox.id}, ${sandbox.name}, 1, ${DateTime.formatIso(sandbox.createdAt)},
                ${yield* records.write(sandbox)}, ${yield* plans.write(plan)})`
            yield* Effect.forEach(events, (event) => append(sandbox.id, event), { discard: true })
            return undefined
          })
        )
        if (taken !== undefined) return yield* nameTaken(sandbox.name, taken)
      }),
    get: (id) => run(document(id)),
    plan: (id) => run(planOf(id)),
    list: run(
      Effect.flatMap(
        sql<{ readonly document: string }>`SELECT document FROM sandboxes ORDER BY created_at, rowid`,
        Effect.forEach((row) => decode(SandboxJson, row.document))
      )
    ),
    takenNames: run(
      Effect.map(
        sql<{ readonly name: string }>`SELECT name FROM sandboxes WHERE living = 1`,
        (rows) => new Set(rows.map(({ name }) => name))
      )
    ),
    events: (id, after) =>
      run(
        Effect.flatMap(
          sql<{ readonly document: string }>`
            SELECT document FROM events WHERE sandbox_id = ${id} AND seq > ${after} ORDER BY seq`,
          Effect.forEach((row) => decode(EventJson, row.document))
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
          const events = yield* Effect.forEach(rows, (row) => decode(EventJson, row.document))
          return { events, position: rows.at(-1)?.position ?? after }
        })
      ),
    requestCancel: (id) =>
      transaction(
        Effect.gen(function* () {
          yield* sql`UPDATE sandboxes SET cancel_requested = 1 WHERE id = ${id}`
          const sandbox = yield* document(id)
          yield* append(id, {
            identity: `cancelling/${sandbox?.attempt ?? 0}`,
            type: "cancelling",
            message: "asked to cancel",
            phase: sandbox?.phase?.name ?? null
          })
        })
      ),
    cancelRequested: (id) =>
      run(
        Effect.map(
          sql<{ readonly asked: number }>`SELECT cancel_requested AS asked FROM sandboxes WHERE id = ${id}`,
          ([row]) => row?.asked === 1
        )
      ),
    lease: (id) => run(held(id)),
    takeLease: (id, holder, seen) =>
      transaction(
        Effect.gen(function* () {
          const current = yield* held(id)
          if (current?.term !== seen) return undefined
          const term = (seen ?? 0) + 1
          yield* sql`INSERT INTO leases (sandbox_id, term, holder, beat)
            VALUES (${id}, ${term}, ${yield* encode(HolderJson, holder)}, 0)
            ON CONFLICT (sandbox_id) DO UPDATE SET term = excluded.term, holder = excluded.holder, beat = 0`
          return { id, term }
        })
      ),
    releaseLease: ({ id, term }) =>
      run(
        Effect.asVoid(sql`
        UPDATE leases SET holder = 'null' WHERE sandbox_id = ${id} AND term = ${term} AND holder <> 'null'`)
      ),
    commit: ({ id, term }, { beat, change: fields, events = [], log, release, step }) =>
      transaction(
        Effect.gen(function* () {
          yield* fenced({ id, term })
          if (beat === true) yield* sql`UPDATE leases SET beat = beat + 1 WHERE sandbox_id = ${id}`
          if (fields !== undefined) yield* update(id, fields)
          if (step !== undefined) {
            yield* sql`INSERT INTO steps (sandbox_id, attempt, key, document)
              VALUES (${id}, ${step.attempt}, ${step.key}, ${yield* encode(StepJson, step)})
              ON CONFLICT (sandbox_id, attempt, key) DO UPDATE SET document = excluded.document`
          }
          if (log !== undefined) {
            yield* sql`INSERT INTO logs (sandbox_id, document) VALUES (${id}, ${yield* encode(LogJson, log)})
              ON CONFLICT (sandbox_id) DO UPDATE SET document = excluded.document`
          }
          yield* Effect.forEach(events, (event) => append(id, event), { discard: true })
          if (release === true) yield* sql`UPDATE leases SET holder = 'null' WHERE sandbox_id = ${id}`
        })
      ),
    transition: (id, from, fields, event, when = () => true) =>
      transaction(
        Effect.gen(function* () {
          const sandbox = yield* document(id)
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
            const sandbox = yield* document(id)
            if (sandbox === undefined || !mayRetry(sandbox, attempt)) return false
            const [other] = yield* sql<{ readonly id: string }>`
              SELECT id FROM sandboxes WHERE name = ${sandbox.name} AND living = 1`
            if (other !== undefined) return other.id
            yield* sql`UPDATE sandboxes SET cancel_requested = 0 WHERE id = ${id}`
            yield* update(id, resetForRetry(attempt))
            yield* append(id, event)
            return true
          })
        )
        return typeof began === "boolean" ? began : yield* nameTaken((yield* run(document(id)))?.name, began)
      }),
    forget: (id, when) =>
      transaction(
        Effect.gen(function* () {
          const sandbox = yield* document(id)
          const waiting = yield* sql`
            SELECT 1 FROM outbox WHERE sandbox_id = ${id} AND state = 'waiting' LIMIT 1`
          if (sandbox === undefined || !when(sandbox, waiting.length > 0)) return false
          for (const table of ["outbox", "claims", "events", "leases", "logs", "steps"]) {
            yield* sql`DELETE FROM ${sql(table)} WHERE sandbox_id = ${id}`
          }
          yield* sql`DELETE FROM sandboxes WHERE id = ${id}`
          return true
        })
      ),
    claim: (lease, resource, capacity) =>
      transaction(
        Effect.gen(function* () {
          yield* fenced(lease)
          yield* sql`INSERT INTO claims (sandbox_id, resource, held) VALUES (${lease.id}, ${resource}, 0)
            ON CONFLICT DO NOTHING`
          if (isNext(lease.id, capacity, yield* line(resource))) {
            yield* sql`UPDATE claims SET held = 1 WHERE sandbox_id = ${lease.id} AND resource = ${resource}`
          }
        })
      ),
    claimants: (resource) => run(line(resource)),
    steps: (id, attempt) =>
      run(
        Effect.flatMap(
          sql<{ readonly document: string }>`
            SELECT document FROM steps WHERE sandbox_id = ${id} AND attempt = ${attempt} ORDER BY rowid`,
          Effect.forEach((row) => decode(StepJson, row.document))
        )
      ),
    log: (id) =>
      run(
        Effect.flatMap(
          sql<{ readonly document: string }>`SELECT document FROM logs WHERE sandbox_id = ${id}`,
          ([row]) => (row === undefined ? Effect.as(Effect.void, undefined) : decode(LogJson, row.document))
        )
      ),
    outbox: Outbox.make({ sql, decode, encode, run, transaction })
  }
})

/**
 * The store in `sandboxer.db` of the state directory, which is made, private to the user, where it is not there.
 * @category layers
 */
export const layer = Layer.scoped(
  SandboxStore,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { home } = yield* Settings
    yield* fs.makeDirectory(home, { recursive: true, mode: 0o700 }).pipe(
      Effect.mapError(
        (error) =>
          new StoreError({
            reason: "not-writable",
            message: `the state directory ${home} cannot be made: ${error.message}`,
            hint: "set SANDBOXER_HOME to a folder of yours"
          })
      )
    )
    const sql = yield* Effect.mapError(
      Sqlite.open({ filename: path.join(home, "sandboxer.db"), migrations }),
      ({ hint, message, reason }) => new StoreError({ reason, message, hint })
    )
    return yield* Effect.provideService(make, SqlClient.SqlClient, sql)
  })
)

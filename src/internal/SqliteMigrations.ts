/** Bringing an SQLite database up to date. */
import { dirname } from "node:path"
import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { DatabaseError, databaseError } from "./DatabaseError.js"

/** What brings a database up to date, by `<id>_<name>`; each runs once, in the order of their ids. */
export type Migrations = Record<string, Effect.Effect<void, unknown, SqlClient.SqlClient>>

/**
 * Statements that add what a program which does not know them is not hindered by: indexes, generated columns, columns
 * with a default. They are counted apart from the migrations, in `user_version`, so that the version before still opens
 * the database. A later program appends to them and changes none.
 */
export type Additions = ReadonlyArray<string>

const addedTo = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ readonly user_version: number }>`PRAGMA user_version`, ([row]) => row?.user_version ?? 0)

/** Runs the additions that the database does not have, all or none. */
export const add = (
  filename: string,
  additions: Additions
): Effect.Effect<void, DatabaseError, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    if ((yield* addedTo(sql)) >= additions.length) return
    yield* sql.withTransaction(
      Effect.gen(function* () {
        // Another process may have been quicker.
        const added = yield* addedTo(sql)
        if (added >= additions.length) return
        yield* Effect.forEach(additions.slice(added), (text) => sql.unsafe(text), { discard: true })
        yield* sql.unsafe(`PRAGMA user_version = ${additions.length}`)
      })
    )
  }).pipe(Effect.mapError(databaseError(filename)))

/** The id of the last migration that was applied; 0 where none was. */
const appliedTo = Effect.fn(function* (sql: SqlClient.SqlClient) {
  const tables = yield* sql`SELECT 1 FROM sqlite_schema WHERE name = 'effect_sql_migrations'`
  if (tables.length === 0) return 0
  const rows = yield* sql<{
    readonly id: number | null
  }>`SELECT max(migration_id) AS id FROM effect_sql_migrations`
  return rows[0]?.id ?? 0
})

/**
 * Applies the migrations that the database does not have, all or none. Any number of processes may do so at
 * once: one applies them, and the others find them applied. A database that is up to date is only read, which
 * needs no lock.
 */
export const migrate = (
  filename: string,
  migrations: Migrations
): Effect.Effect<void, DatabaseError, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const known = yield* Migrator.fromRecord(migrations)
    const target = known.at(-1)?.[0] ?? 0
    let applied = yield* appliedTo(sql)
    if (applied < target) {
      // A migration that fails is a defect there.
      yield* Migrator.make({})({ loader: Effect.succeed(known) }).pipe(Effect.catchAllDefect(Effect.fail))
      applied = yield* appliedTo(sql)
    }
    if (applied > target) {
      return yield* new DatabaseError({
        reason: "newer",
        message: `the database ${filename}: a newer version wrote it (migration ${applied}, known is ${target})`,
        hint: "Upgrade sandboxer, or set SANDBOXER_HOME to another folder."
      })
    }
    if (applied < target) {
      // The migrator succeeds where it cannot record them: it takes that for another process at work.
      return yield* new DatabaseError({
        reason: "not-writable",
        message: `the database ${filename}: its migrations could not be recorded`,
        hint: `Make sure that ${dirname(filename)} may be written and has space left.`
      })
    }
  }).pipe(Effect.mapError(databaseError(filename)))

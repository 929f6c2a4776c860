/** Migrations of an SQLite database. */
import { dirname } from "node:path"
import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { DatabaseError, databaseError } from "./DatabaseError.js"

/** Migrations by `<id>_<name>`. Each runs once, in the order of the ids. */
export type Migrations = Record<string, Effect.Effect<void, unknown, SqlClient.SqlClient>>

/**
 * Statements that add only what an older program can ignore: indexes, generated columns, columns with a default. They are counted
 * in `user_version`, apart from the migrations, so that the previous version still opens the database. Later versions append to
 * the list and never change it.
 */
export type Additions = ReadonlyArray<string>

const addedTo = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ readonly user_version: number }>`PRAGMA user_version`, ([row]) => row?.user_version ?? 0)

/** Runs the missing additions, all or none. */
export const add = (
  filename: string,
  additions: Additions
): Effect.Effect<void, DatabaseError, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    if ((yield* addedTo(sql)) >= additions.length) return
    yield* sql.withTransaction(
      Effect.gen(function* () {
        // Another process may have run them meanwhile.
        const added = yield* addedTo(sql)
        if (added >= additions.length) return
        yield* Effect.forEach(additions.slice(added), (text) => sql.unsafe(text), { discard: true })
        yield* sql.unsafe(`PRAGMA user_version = ${additions.length}`)
      })
    )
  }).pipe(Effect.mapError(databaseError(filename)))

/** The id of the last applied migration; 0 if there is none. */
const appliedTo = Effect.fn(function* (sql: SqlClient.SqlClient) {
  const tables = yield* sql`SELECT 1 FROM sqlite_schema WHERE name = 'effect_sql_migrations'`
  if (tables.length === 0) return 0
  const rows = yield* sql<{
    readonly id: number | null
  }>`SELECT max(migration_id) AS id FROM effect_sql_migrations`
  return rows[0]?.id ?? 0
})

/**
 * Applies the missing migrations, all or none. Several processes may do so at the same time: one applies them, the others find
 * them applied. A database that is up to date is only read, without a lock.
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
      // The migrator dies with a defect if a migration fails.
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
      // If it cannot record them, the migrator assumes that another process works, and succeeds.
      return yield* new DatabaseError({
        reason: "not-writable",
        message: `the database ${filename}: its migrations could not be recorded`,
        hint: `Make sure that ${dirname(filename)} may be written and has space left.`
      })
    }
  }).pipe(Effect.mapError(databaseError(filename)))

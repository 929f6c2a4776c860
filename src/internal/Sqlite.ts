/**
 * An SQLite file, as an `SqlClient` that many processes may use at once.
 *
 * Over better-sqlite3 itself: `@effect/sql-sqlite-node` begins a transaction with a plain `BEGIN`, which fails at its
 * first write when another process wrote since its first read; waits for a lock inside SQLite, while the event loop
 * stands still; and dies where a file cannot be opened or a `COMMIT` fails. Here a transaction takes the write lock
 * as it begins, a wait is a wait of the fiber, and what fails is in the type.
 */
import { accessSync, closeSync, constants, openSync } from "node:fs"
import { dirname } from "node:path"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import BetterSqlite3 from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/**
 * The database cannot be opened or brought up to date.
 *
 * - `not-writable`: the file cannot be made or written: permission, a folder that is missing, a full disk
 * - `damaged`: the file is not a database, or a broken one
 * - `newer`: it has a migration that this program does not know
 */
export class DatabaseError extends Schema.TaggedError<DatabaseError>("sandboxer/DatabaseError")(
  "DatabaseError",
  {
    reason: Schema.Literal("not-writable", "damaged", "newer", "other"),
    message: Schema.String,
    hint: Schema.String
  }
) {}

/** What brings a database up to date, by `<id>_<name>`; each runs once, in the order of their ids. */
export type Migrations = Record<string, Effect.Effect<void, unknown, SqlClient.SqlClient>>

/** The code of the system or of SQLite that an error, or what caused it, carries; "" where none does. */
const codeOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return ""
  if ("code" in error && typeof error.code === "string") return error.code
  return "cause" in error ? codeOf(error.cause) : ""
}

const messageOf = (error: unknown): string => {
  // It only says that a statement failed.
  if (error instanceof SqlError) return messageOf(error.cause)
  if (error instanceof Migrator.MigrationError && error.cause !== undefined) {
    return `${error.message}: ${messageOf(error.cause)}`
  }
  return error instanceof Error ? error.message : String(error)
}

const isBusy = (error: unknown) => codeOf(error).startsWith("SQLITE_BUSY")

const damaged = /^SQLITE_(NOTADB|CORRUPT)/
const notWritable =
  /^(SQLITE_(CANTOPEN|READONLY|PERM|AUTH|FULL|IOERR)|E(ACCES|PERM|ROFS|NOENT|NOTDIR|ISDIR|NOSPC|DQUOT|IO)$)/

/** What an error of a database says, in words for people. */
export const databaseError = (filename: string) => (error: unknown) => {
  const code = codeOf(error)
  const message = `the database ${filename}: ${messageOf(error)}`
  if (damaged.test(code)) {
    const hint =
      "Restore it from a backup, or move it aside, with its -wal and -shm, to begin with an empty one."
    return new DatabaseError({ reason: "damaged", message, hint })
  }
  if (notWritable.test(code)) {
    const hint = `Make sure that ${dirname(filename)} is there, may be written and has space left.`
    return new DatabaseError({ reason: "not-writable", message, hint })
  }
  const hint = isBusy(error)
    ? "Another process keeps it locked: `fuser` on the file names it."
    : "Run the command again with --log-level debug to see all of the error."
  return new DatabaseError({ reason: "other", message, hint })
}

/**
 * Creates the file for its owner alone; SQLite gives its -wal and -shm the same mode. Never opens a file that
 * is there: to close it would drop the locks that this process has on it by another connection.
 */
const ensureFile = (filename: string) => {
  try {
    closeSync(openSync(filename, "wx", 0o600))
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error
    // What may only be read SQLite opens without a word, until the first write.
    accessSync(filename, constants.R_OK | constants.W_OK)
  }
}

/** Soon again at first, for a lock is mostly held for a few milliseconds; then each 25 ms; for 30 s in all. */
const patience = Schedule.exponential("2 millis", 1.5).pipe(
  Schedule.union(Schedule.spaced("25 millis")),
  Schedule.jittered,
  Schedule.upTo("30 seconds")
)

const mostPrepared = 200

type Rows = Effect.Effect<ReadonlyArray<unknown>, SqlError>

interface Direct extends Connection {
  /**
   * Runs a statement at once, before any other fiber goes on. Where another process has the lock, `wait` says how what
   * tries again is waited for.
   */
  readonly now: (text: string, params: ReadonlyArray<unknown>, wait: (again: Rows) => Rows) => Rows
}

/**
 * The connection of a database that is open; it waits for the lock in its fiber. To run a statement again is safe in a
 * transaction too: there only its `BEGIN IMMEDIATE` meets the lock of another.
 */
const connect = (database: BetterSqlite3.Database): Direct => {
  const prepared = new Map<string, BetterSqlite3.Statement>()
  const prepare = (text: string) => {
    const known = prepared.get(text) ?? database.prepare(text)
    // One that lists values is another one for each number of them.
    if (prepared.size >= mostPrepared) prepared.clear()
    prepared.set(text, known)
    return known
  }
  const attempt = (text: string, params: ReadonlyArray<unknown>, values = false) => {
    try {
      const statement = prepare(text)
      if (statement.reader) return Either.right(statement.raw(values).all(...params))
      statement.run(...params)
      return Either.right([])
    } catch (cause) {
      return Either.left(new SqlError({ cause, message: "a statement failed" }))
    }
  }
  const now = (
    text: string,
    params: ReadonlyArray<unknown>,
    wait: (again: Rows) => Rows,
    values = false
  ): Rows => {
    const first = attempt(text, params, values)
    if (Either.isRight(first) || !isBusy(first.left)) return first
    const again = Effect.suspend(() => attempt(text, params, values))
    return wait(Effect.retry(again, { schedule: patience, while: isBusy }))
  }
  const rows = (text: string, params: ReadonlyArray<unknown>, values = false): Rows =>
    Effect.suspend(() => now(text, params, (again) => again, values))
  const execute: Connection["execute"] = (text, params, transform) =>
    transform === undefined
      ? rows(text, params)
      : Effect.map(rows(text, params), (all) => transform(all as ReadonlyArray<object>))
  return {
    now,
    execute,
    executeUnprepared: execute,
    executeRaw: (text, params) => rows(text, params),
    executeValues: (text, params) =>
      Effect.map(rows(text, params, true), (all) => all as ReadonlyArray<ReadonlyArray<unknown>>),
    executeStream: () => Stream.dieMessage("an SQLite database gives all rows at once")
  }
}

/** Who has the connection for itself: a transaction, or a statement that waits. */
interface Turn {
  readonly isTaken: () => boolean
  readonly take: Effect.Effect<void>
  readonly release: Effect.Effect<void>
  readonly alone: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

const makeTurn = (): Turn => {
  const mutex = Effect.unsafeMakeSemaphore(1)
  let isTaken = false
  const set = (value: boolean) =>
    Effect.sync(() => {
      isTaken = value
    })
  const take = Effect.uninterruptibleMask((restore) => Effect.zipRight(restore(mutex.take(1)), set(true)))
  const release = Effect.zipRight(set(false), mutex.release(1))
  return {
    isTaken: () => isTaken,
    take,
    release,
    alone: (effect) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.zipRight(restore(take), Effect.ensuring(restore(effect), release))
      )
  }
}

/**
 * Statements without what `@effect/sql` makes for each of them, a span and a scope: a command runs a hundred, and takes
 * half as long to do so. One outside of a transaction waits while a fiber is in one.
 */
const direct = (client: SqlClient.SqlClient, connection: Direct, turn: Turn): SqlClient.SqlClient => {
  const run = (statement: Statement.Statement<unknown>) =>
    Effect.contextWithEffect((context: Context.Context<never>) => {
      const [text, params] = statement.compile()
      if (isWithin(context)) return connection.now(text, params, (again) => again)
      return turn.isTaken()
        ? turn.alone(connection.execute(text, params, undefined))
        : connection.now(text, params, turn.alone)
    })
  return new Proxy(client, {
    apply: (template, _, args: Parameters<SqlClient.SqlClient>) => {
      const made = template(...args)
      return isStatement(made) ? Object.assign(made, { commit: () => run(made) }) : made
    }
  })
}

const isStatement = (
  made: Statement.Statement<unknown> | Statement.Identifier
): made is Statement.Statement<unknown> => Effect.isEffect(made)

const isWithin = (context: Context.Context<never>): boolean =>
  Option.isSome(Context.getOption(context, SqlClient.TransactionConnection))

/**
 * Unlike the client's own `withTransaction`, one that takes the lock as it begins, can be interrupted while it waits for
 * it, and whose failed `BEGIN` or `COMMIT` is an error, no defect. One within another is a savepoint, as ever.
 */
const immediate = (
  client: SqlClient.SqlClient,
  connection: Connection,
  { alone }: Turn
): SqlClient.SqlClient["withTransaction"] => {
  const savepoint = client.withTransaction
  const run = (text: string) => connection.execute(text, [], undefined)
  const outermost = <R, E, A>(effect: Effect.Effect<A, E, R>) => {
    const within = Effect.mapInputContext(effect, (context: Context.Context<R>) =>
      Context.add(context, SqlClient.TransactionConnection, [connection, 0])
    )
    return Effect.uninterruptibleMask((restore) =>
      restore(Effect.zipRight(run("BEGIN IMMEDIATE"), within)).pipe(
        Effect.zipLeft(run("COMMIT")),
        // It fails where nothing is begun, or SQLite has rolled back by itself, as on a full disk: no harm.
        Effect.onError(() => Effect.ignore(run("ROLLBACK")))
      )
    )
  }
  return (effect) =>
    Effect.contextWithEffect((context: Context.Context<never>) =>
      isWithin(context) ? savepoint(effect) : alone(outermost(effect))
    )
}

/** The database as it is, created (mode 0600) where there is none. */
const connected = (
  filename: string
): Effect.Effect<SqlClient.SqlClient, DatabaseError, Scope.Scope | Reactivity.Reactivity> =>
  Effect.gen(function* () {
    yield* Effect.try(() => ensureFile(filename))
    const database = yield* Effect.acquireRelease(
      // It would wait for the lock inside SQLite.
      Effect.try(() => new BetterSqlite3(filename, { timeout: 0 })),
      (opened) => Effect.sync(() => opened.close())
    )
    const connection = connect(database)
    const turn = makeTurn()
    const client = yield* SqlClient.make({
      // A statement keeps the connection while it waits and runs: none gets into another fiber's transaction.
      acquirer: Effect.uninterruptibleMask((restore) =>
        restore(turn.take).pipe(
          Effect.zipRight(Effect.addFinalizer(() => turn.release)),
          Effect.as(connection)
        )
      ),
      compiler: Statement.makeCompilerSqlite(),
      spanAttributes: [["db.system.name", "sqlite"]]
    })
    const sql = Object.assign(direct(client, connection, turn), {
      withTransaction: immediate(client, connection, turn)
    })
    yield* sql`PRAGMA journal_mode = WAL`
    // As better-sqlite3 is built, a commit to a WAL is not synced: it would not survive a power cut.
    yield* sql`PRAGMA synchronous = FULL`
    yield* sql`PRAGMA foreign_keys = ON`
    return sql
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
      // The migrator succeeds where it cannot record them: it takes that for another who is at work.
      return yield* new DatabaseError({
        reason: "not-writable",
        message: `the database ${filename}: its migrations could not be recorded`,
        hint: `Make sure that ${dirname(filename)} may be written and has space left.`
      })
    }
  }).pipe(
    Effect.mapError((error) => (error instanceof DatabaseError ? error : databaseError(filename)(error)))
  )

/** Opens the database, brings it up to date, and creates it where there is none; its directory has to exist. */
export const open = ({
  filename,
  migrations
}: {
  readonly filename: string
  readonly migrations: Migrations
}): Effect.Effect<SqlClient.SqlClient, DatabaseError, Scope.Scope> =>
  connected(filename).pipe(
    Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make),
    Effect.tap((sql) => Effect.provideService(migrate(filename, migrations), SqlClient.SqlClient, sql))
  )

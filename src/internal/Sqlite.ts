/**
 * An SQLite file, as an `SqlClient` that many processes may use at once.
 *
 * Over better-sqlite3 itself: `@effect/sql-sqlite-node` begins a transaction with a plain `BEGIN`, which fails at its
 * first write when another process wrote since its first read; waits for a lock inside SQLite, while the event loop
 * stands still; and dies where a file cannot be opened or a `COMMIT` fails. Here a transaction takes the write lock
 * as it begins, a wait is a wait of the fiber, and what fails is in the type.
 */
import { accessSync, closeSync, constants, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import BetterSqlite3 from "better-sqlite3"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describeError, errorKind } from "../domain/ErrorKind.js"
import { DatabaseError, databaseError } from "./DatabaseError.js"
import { type Additions, add, type Migrations, migrate } from "./SqliteMigrations.js"

/**
 * Creates the file for its owner alone; SQLite gives its -wal and -shm the same mode. Never opens a file that
 * is there: to close it would drop the locks that this process has on it by another connection.
 */
const ensureFile = (filename: string) => {
  try {
    closeSync(openSync(filename, "wx", 0o600))
  } catch (error) {
    if (errorKind(error) !== "exists") throw error
    // What may only be read SQLite opens without a word, until the first write.
    accessSync(filename, constants.R_OK | constants.W_OK)
  }
}

const isBusy = (error: unknown) => errorKind(error) === "busy"

/** How a statement waits for another process's lock. */
export interface LockLimits {
  readonly lockWait: Duration.Duration
  readonly retryFirst: Duration.Duration
  readonly retryMax: Duration.Duration
}

const patienceOf = ({ lockWait, retryFirst, retryMax }: LockLimits) =>
  Schedule.exponential(retryFirst, 1.5).pipe(
    Schedule.union(Schedule.spaced(retryMax)),
    Schedule.jittered,
    Schedule.upTo(lockWait)
  )

interface DatabaseConnection extends Connection {
  /** The database as the bytes of a file. */
  readonly image: () => Uint8Array
}

/** The connection of an open database. Its fiber waits while another process holds the lock. */
const connect = (database: BetterSqlite3.Database, limits: LockLimits): DatabaseConnection => {
  const patience = patienceOf(limits)
  const attempt = (text: string, params: ReadonlyArray<unknown>, values: boolean) =>
    Effect.try({
      try: () => {
        const statement = database.prepare(text)
        if (statement.reader) return statement.raw(values).all(...params)
        statement.run(...params)
        return []
      },
      catch: (cause) => new SqlError({ cause, message: "a statement failed" })
    })
  // A retry is safe in a transaction too: only its `BEGIN IMMEDIATE` meets the lock of another process. Most statements
  // need none, and a schedule costs more than the statement.
  const rows = (text: string, params: ReadonlyArray<unknown>, values = false) =>
    Effect.catchIf(attempt(text, params, values), isBusy, () =>
      Effect.retry(attempt(text, params, values), { schedule: patience, while: isBusy })
    )
  const execute: Connection["execute"] = (text, params, transform) =>
    transform === undefined
      ? rows(text, params)
      : Effect.map(rows(text, params), (all) => transform(all as ReadonlyArray<object>))
  return {
    image: () => database.serialize(),
    execute,
    executeUnprepared: execute,
    executeRaw: (text, params) => rows(text, params),
    executeValues: (text, params) =>
      Effect.map(rows(text, params, true), (all) => all as ReadonlyArray<ReadonlyArray<unknown>>),
    executeStream: () => Stream.dieMessage("an SQLite database returns all rows at once")
  }
}

/** Runs something with the connection. */
type Use = <A, E, R>(
  run: (connection: DatabaseConnection) => Effect.Effect<A, E, R>
) => Effect.Effect<A, E | SqlError, R>

/**
 * Runs statements without the span and the scope that `@effect/sql` makes for each, which take most of its time: see
 * docs/decisions/0003-sqlite.md. A statement outside of a transaction waits until no other fiber is in one.
 */
const withoutSpans = (client: SqlClient.SqlClient, use: Use, turn: Effect.Semaphore): SqlClient.SqlClient => {
  const run = (statement: Statement.Statement<unknown>) =>
    Effect.contextWithEffect((context: Context.Context<never>) =>
      use((connection) => {
        const [text, params] = statement.compile()
        const rows = connection.execute(text, params, undefined)
        return isWithin(context) ? rows : turn.withPermits(1)(rows)
      })
    )
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
  use: Use,
  turn: Effect.Semaphore
): SqlClient.SqlClient["withTransaction"] => {
  const savepoint = client.withTransaction
  const outermost = <R, E, A>(connection: Connection, effect: Effect.Effect<A, E, R>) => {
    const run = (text: string) => connection.execute(text, [], undefined)
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
      isWithin(context)
        ? savepoint(effect)
        : use((connection) => turn.withPermits(1)(outermost(connection, effect)))
    )
}

const makeClient = (use: Use, turn: Effect.Semaphore): Effect.Effect<SqlClient.SqlClient> =>
  SqlClient.make({
    // A statement keeps the connection while it waits and runs: none gets into another fiber's transaction.
    acquirer: use((connection) =>
      Effect.uninterruptibleMask((restore) =>
        restore(turn.take(1)).pipe(
          Effect.zipRight(Effect.addFinalizer(() => turn.release(1))),
          Effect.as(connection)
        )
      )
    ),
    compiler: Statement.makeCompilerSqlite(),
    spanAttributes: [["db.system.name", "sqlite"]]
  }).pipe(
    Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make),
    Effect.map((client) =>
      Object.assign(withoutSpans(client, use, turn), { withTransaction: immediate(client, use, turn) })
    )
  )

/** Creates the state directory, private to the user, where it is missing. */
const ensureFolder = (folder: string) =>
  Effect.try({
    try: () => mkdirSync(folder, { recursive: true, mode: 0o700 }),
    catch: (error) =>
      new DatabaseError({
        reason: "not-writable",
        message: `the state directory ${folder} cannot be created: ${describeError(error)}`,
        hint: "Set SANDBOXER_HOME to a folder of yours."
      })
  })

export interface DatabaseOptions {
  /** `:memory:` is a database of its own, which ends with its scope. */
  readonly filename: string
  readonly migrations: Migrations
  readonly additions?: Additions
  readonly limits: LockLimits
  /** Creates the file's folder where it is missing. */
  readonly makeFolder?: boolean
  /** What a database in memory begins with: see `SqliteClient.image`. */
  readonly image?: Uint8Array
}

export interface SqliteClient extends SqlClient.SqlClient {
  /** The database as the bytes of a file, outside of any transaction. */
  readonly image: Effect.Effect<Uint8Array, SqlError>
}

/** Opens the database, and brings it up to date. */
const opened = (
  { additions = [], filename, image, limits, makeFolder = false, migrations }: DatabaseOptions,
  turn: Effect.Semaphore
) =>
  Effect.gen(function* () {
    if (makeFolder) yield* ensureFolder(dirname(filename))
    const database = yield* Effect.try(() => {
      if (filename !== ":memory:") ensureFile(filename)
      // With a timeout it would wait for the lock inside SQLite.
      return new BetterSqlite3(image === undefined ? filename : Buffer.from(image), { timeout: 0 })
    })
    const connection = connect(database, limits)
    return yield* Effect.gen(function* () {
      const sql = yield* makeClient((run) => run(connection), turn)
      yield* sql`PRAGMA journal_mode = WAL`
      // As better-sqlite3 is built, a commit to a WAL is not synced: it would not survive a power cut.
      yield* sql`PRAGMA synchronous = FULL`
      yield* sql`PRAGMA foreign_keys = ON`
      const upToDate = Effect.zipRight(migrate(filename, migrations), add(filename, additions))
      yield* Effect.provideService(upToDate, SqlClient.SqlClient, sql)
      return { close: () => database.close(), connection }
    }).pipe(Effect.onError(() => Effect.sync(() => database.close())))
  }).pipe(
    Effect.mapError(
      (error) =>
        new SqlError({ cause: databaseError(filename)(error), message: "the database cannot be opened" })
    )
  )

/**
 * A client of a database that is opened, or created (mode 0600), when it is first used: who uses it for nothing leaves
 * nothing behind. Where it cannot be opened, each use fails with that, and the next one tries again.
 */
export const make = (options: DatabaseOptions): Effect.Effect<SqliteClient, never, Scope.Scope> =>
  Effect.gen(function* () {
    // A transaction, or a statement outside of one, has the connection to itself.
    const turn = Effect.unsafeMakeSemaphore(1)
    const mutex = Effect.unsafeMakeSemaphore(1)
    let known: Effect.Effect.Success<ReturnType<typeof opened>> | undefined
    yield* Effect.addFinalizer(() => Effect.sync(() => known?.close()))
    const open = mutex.withPermits(1)(
      Effect.suspend(() => (known === undefined ? opened(options, turn) : Effect.succeed(known))).pipe(
        Effect.tap((made) => {
          known = made
        })
      )
    )
    const use: Use = (run) =>
      Effect.suspend(() =>
        known === undefined
          ? Effect.flatMap(open, ({ connection }) => run(connection))
          : run(known.connection)
      )
    return Object.assign(yield* makeClient(use, turn), {
      image: use(({ image }) => turn.withPermits(1)(Effect.sync(image)))
    })
  })

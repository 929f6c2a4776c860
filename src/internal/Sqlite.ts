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
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
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
  /** The database as the bytes of a file. */
  readonly image: () => Uint8Array
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
    image: () => database.serialize(),
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

/** Runs something with the connection. */
type Use = <A, E, R>(run: (connection: Direct) => Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>

/**
 * Statements without what `@effect/sql` makes for each of them, a span and a scope: a command runs a hundred, and takes
 * half as long to do so. One outside of a transaction waits while a fiber is in one.
 */
const direct = (client: SqlClient.SqlClient, use: Use, turn: Turn): SqlClient.SqlClient => {
  const run = (statement: Statement.Statement<unknown>) =>
    Effect.contextWithEffect((context: Context.Context<never>) =>
      use((connection) => {
        const [text, params] = statement.compile()
        if (isWithin(context)) return connection.now(text, params, (again) => again)
        return turn.isTaken()
          ? turn.alone(connection.execute(text, params, undefined))
          : connection.now(text, params, turn.alone)
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
  { alone }: Turn
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
      isWithin(context) ? savepoint(effect) : use((connection) => alone(outermost(connection, effect)))
    )
}

const makeClient = (use: Use, turn: Turn): Effect.Effect<SqlClient.SqlClient> =>
  SqlClient.make({
    // A statement keeps the connection while it waits and runs: none gets into another fiber's transaction.
    acquirer: use((connection) =>
      Effect.uninterruptibleMask((restore) =>
        restore(turn.take).pipe(
          Effect.zipRight(Effect.addFinalizer(() => turn.release)),
          Effect.as(connection)
        )
      )
    ),
    compiler: Statement.makeCompilerSqlite(),
    spanAttributes: [["db.system.name", "sqlite"]]
  }).pipe(
    Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make),
    Effect.map((client) =>
      Object.assign(direct(client, use, turn), { withTransaction: immediate(client, use, turn) })
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
  { additions = [], filename, image, makeFolder = false, migrations }: DatabaseOptions,
  turn: Turn
) =>
  Effect.gen(function* () {
    if (makeFolder) yield* ensureFolder(dirname(filename))
    const database = yield* Effect.try(() => {
      if (filename !== ":memory:") ensureFile(filename)
      // With a timeout it would wait for the lock inside SQLite.
      return new BetterSqlite3(image === undefined ? filename : Buffer.from(image), { timeout: 0 })
    })
    const connection = connect(database)
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
    const turn = makeTurn()
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
      image: turn.alone(use(({ image }) => Effect.sync(image)))
    })
  })

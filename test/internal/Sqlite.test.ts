import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import BetterSqlite3 from "better-sqlite3"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { databaseError } from "../../src/internal/DatabaseError.js"
import * as Sqlite from "../../src/internal/Sqlite.js"
import { migrate as bringUpToDate, type Migrations } from "../../src/internal/SqliteMigrations.js"
import { defaults } from "../../src/settings/Timing.js"

let folder: string
let filename: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-sqlite-"))
  filename = join(folder, "sandboxer.db")
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const migrations: Migrations = {
  "0001_item": Effect.flatMap(
    SqlClient.SqlClient,
    (sql) =>
      sql`CREATE TABLE item (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES item DEFERRABLE INITIALLY DEFERRED)`
  )
}

/** Runs a program with a client of its own, whose database is open, and is closed at its end. */
const withDatabase = <A, E>(f: (sql: SqlClient.SqlClient) => Effect.Effect<A, E, SqlClient.SqlClient>) =>
  Effect.suspend(() =>
    Effect.flatMap(Sqlite.make({ filename, migrations, limits: defaults.database }), (sql) =>
      Effect.provideService(Effect.zipRight(sql`SELECT 1`, f(sql)), SqlClient.SqlClient, sql)
    )
  ).pipe(Effect.scoped)

/** Opens the database; where that fails, with what is wrong with it. */
const openDatabase = Effect.suspend(() =>
  Effect.mapError(
    withDatabase(() => Effect.void),
    databaseError(filename)
  )
)

/** The lock of a writer that is none of ours, until the scope closes. */
const lockedByAnother = Effect.acquireRelease(
  Effect.sync(() => {
    const other = new BetterSqlite3(filename)
    other.exec("BEGIN IMMEDIATE")
    return other
  }),
  (other) => Effect.sync(() => other.close())
)

/** A clock from 0 on which every sleep is over at once: `TestClock` needs seconds for a thousand of them. */
const impatientClock = (): Clock.Clock => {
  let now = 0
  return {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    currentTimeMillis: Effect.sync(() => now),
    unsafeCurrentTimeNanos: () => BigInt(Math.round(now * 1e6)),
    currentTimeNanos: Effect.sync(() => BigInt(Math.round(now * 1e6))),
    sleep: (duration) =>
      Effect.sync(() => {
        now += Duration.toMillis(duration)
      })
  }
}

const codeOf = (error: SqlError) =>
  error.cause instanceof BetterSqlite3.SqliteError ? error.cause.code : undefined

const idsOf = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ readonly id: number }>`SELECT id FROM item ORDER BY id`, (rows) =>
    rows.map(({ id }) => id)
  )

describe("opening a database", () => {
  it.effect("sets WAL, foreign keys and full sync, and no busy timeout inside SQLite", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        expect(yield* sql`PRAGMA journal_mode`).toEqual([{ journal_mode: "wal" }])
        expect(yield* sql`PRAGMA foreign_keys`).toEqual([{ foreign_keys: 1 }])
        expect(yield* sql`PRAGMA synchronous`).toEqual([{ synchronous: 2 }])
        expect(yield* sql`PRAGMA busy_timeout`).toEqual([{ timeout: 0 }])
        for (const file of [filename, `${filename}-wal`, `${filename}-shm`]) {
          expect(statSync(file).mode & 0o777).toBe(0o600)
        }
      })
    )
  )

  const reasonOfOpening = Effect.map(Effect.flip(openDatabase), (error) => error.reason)

  it.effect("in a missing folder fails as not-writable", () =>
    Effect.gen(function* () {
      filename = join(folder, "missing", "sandboxer.db")
      expect(yield* reasonOfOpening).toBe("not-writable")
      writeFileSync(join(folder, "file"), "")
      filename = join(folder, "file", "sandboxer.db")
      expect(yield* reasonOfOpening).toBe("not-writable")
      filename = join(folder, "folder")
      mkdirSync(filename)
      expect(yield* reasonOfOpening).toBe("not-writable")
    })
  )

  it.effect.skipIf(process.getuid?.() === 0)("without write permission fails as not-writable", () =>
    Effect.gen(function* () {
      yield* openDatabase
      chmodSync(filename, 0o400)
      expect(yield* reasonOfOpening).toBe("not-writable")
      chmodSync(filename, 0o600)
      chmodSync(folder, 0o500)
      expect(yield* reasonOfOpening).toBe("not-writable")
      filename = join(folder, "new.db")
      expect(yield* reasonOfOpening).toBe("not-writable")
      chmodSync(folder, 0o700)
    })
  )

  it.effect("that is no database, or truncated, fails as damaged and leaves the file unchanged", () =>
    Effect.gen(function* () {
      writeFileSync(filename, "not a database, but long enough to be taken for one".repeat(100))
      const before = statSync(filename).size
      expect(yield* reasonOfOpening).toBe("damaged")
      expect(statSync(filename).size).toBe(before)
      expect(existsSync(`${filename}-wal`)).toBe(false)

      filename = join(folder, "torn.db")
      yield* openDatabase
      expect(statSync(filename).size).toBeGreaterThan(4096)
      truncateSync(filename, 4096)
      expect(yield* reasonOfOpening).toBe("damaged")

      filename = join(folder, "schema.db")
      yield* openDatabase
      const file = openSync(filename, "r+")
      writeSync(file, "x".repeat(3000), 1000)
      closeSync(file)
      expect(yield* reasonOfOpening).toBe("damaged")
    })
  )

  it.effect("does not wait for a writer if it is up to date, and can read meanwhile", () =>
    Effect.scoped(
      Effect.gen(function* () {
        yield* withDatabase((sql) => sql`INSERT INTO item (id) VALUES (1)`)
        yield* lockedByAnother
        expect(yield* withDatabase(idsOf)).toEqual([1])
      })
    )
  )
})

describe("a transaction", () => {
  it.effect("waits 30 s for another one's lock, then fails, and the client still works", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        const write = sql`INSERT INTO item (id) VALUES (1)`
        yield* Effect.gen(function* () {
          yield* lockedByAnother
          for (const waiting of [write, sql.withTransaction(write)]) {
            const clock = impatientClock()
            expect(codeOf(yield* Effect.flip(waiting).pipe(Effect.withClock(clock)))).toBe("SQLITE_BUSY")
            expect(clock.unsafeCurrentTimeMillis()).toBeGreaterThanOrEqual(30_000)
            expect(clock.unsafeCurrentTimeMillis()).toBeLessThan(30_100)
          }
        }).pipe(Effect.scoped)
        yield* sql.withTransaction(write)
        expect(yield* idsOf(sql)).toEqual([1])
      })
    )
  )

  it.effect("continues once the lock is free", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.gen(function* () {
          yield* lockedByAnother
          const fiber = yield* Effect.fork(sql.withTransaction(sql`INSERT INTO item (id) VALUES (1)`))
          yield* TestClock.adjust("1 second")
          expect(fiber.unsafePoll()).toBe(null)
          return fiber
        }).pipe(Effect.scoped)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
        expect(yield* idsOf(sql)).toEqual([1])
      })
    )
  )

  it.effect("can be interrupted while it waits, unless its caller is uninterruptible", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        const insert = (id: number) => sql.withTransaction(sql`INSERT INTO item (id) VALUES (${id})`)
        const kept = yield* Effect.gen(function* () {
          yield* lockedByAnother
          const given = yield* Effect.fork(insert(1))
          yield* TestClock.adjust("1 second")
          expect(Exit.isInterrupted(yield* Fiber.interrupt(given))).toBe(true)
          const kept = yield* Effect.fork(Effect.uninterruptible(insert(2)))
          yield* TestClock.adjust("1 second")
          yield* Fiber.interruptFork(kept)
          yield* TestClock.adjust("1 second")
          expect(kept.unsafePoll()).toBe(null)
          return kept
        }).pipe(Effect.scoped)
        yield* TestClock.adjust("1 second")
        yield* Fiber.await(kept)
        expect(yield* idsOf(sql)).toEqual([2])
      })
    )
  )

  it.effect("inside another one is a savepoint", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        const insert = (id: number) => sql`INSERT INTO item (id) VALUES (${id})`
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* insert(1)
            yield* sql.withTransaction(Effect.zipRight(insert(2), Effect.fail("no"))).pipe(Effect.ignore)
            yield* sql.withTransaction(Effect.zipRight(insert(3), sql.withTransaction(insert(4))))
          })
        )
        expect(yield* idsOf(sql)).toEqual([1, 3, 4])
        yield* sql
          .withTransaction(Effect.zipRight(sql.withTransaction(insert(5)), Effect.fail("no")))
          .pipe(Effect.ignore)
        expect(yield* idsOf(sql)).toEqual([1, 3, 4])
      })
    )
  )

  it.effect("contains no statements of other fibers", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const end = yield* Deferred.make<void>()
        const inTransaction = yield* sql`INSERT INTO item (id) VALUES (1)`.pipe(
          Effect.zipRight(Deferred.succeed(begun, undefined)),
          Effect.zipRight(Deferred.await(end)),
          Effect.zipRight(Effect.fail("no")),
          sql.withTransaction,
          Effect.fork
        )
        yield* Deferred.await(begun)
        const beside = yield* Effect.fork(sql`INSERT INTO item (id) VALUES (2)`)
        yield* Effect.yieldNow()
        expect(beside.unsafePoll()).toBe(null)
        yield* Deferred.succeed(end, undefined)
        expect(Exit.isFailure(yield* Fiber.await(inTransaction))).toBe(true)
        yield* Fiber.join(beside)
        expect(yield* idsOf(sql)).toEqual([2])
      })
    )
  )

  it.effect("whose COMMIT fails is an error and is over", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        const orphan = sql`INSERT INTO item (id, parent) VALUES (1, 7)`
        expect(codeOf(yield* Effect.flip(sql.withTransaction(orphan)))).toBe("SQLITE_CONSTRAINT_FOREIGNKEY")
        yield* sql.withTransaction(sql`INSERT INTO item (id) VALUES (2)`)
        expect(yield* idsOf(sql)).toEqual([2])
      })
    )
  )

  it.effect("that finds the disk full is an error and is over", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        yield* sql`CREATE TABLE big (data BLOB)`
        yield* sql`PRAGMA max_page_count = 10`
        const fill = Effect.zipRight(
          sql`INSERT INTO item (id) VALUES (1)`,
          sql`INSERT INTO big (data) VALUES (zeroblob(1000000))`
        )
        expect(codeOf(yield* Effect.flip(sql.withTransaction(fill)))).toBe("SQLITE_FULL")
        yield* sql.withTransaction(sql`INSERT INTO item (id) VALUES (2)`)
        expect(yield* idsOf(sql)).toEqual([2])
      })
    )
  )
})

describe("a statement", () => {
  it.effect("that cannot be prepared is an error", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        const read = sql`SELECT * FROM later`
        for (const attempt of [read, read.unprepared, read.values, read.raw]) {
          expect(codeOf(yield* Effect.flip(attempt))).toBe("SQLITE_ERROR")
        }
        yield* sql`CREATE TABLE later (id INTEGER)`
        yield* TestClock.adjust("1 millis")
        for (const attempt of [read, read.unprepared]) {
          expect(yield* attempt).toEqual([])
        }
      })
    )
  )

  it.effect("sees a table that another connection changed", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        const read = sql`SELECT * FROM item`
        yield* sql`INSERT INTO item (id) VALUES (1)`
        expect(yield* read).toEqual([{ id: 1, parent: null }])
        const other = new BetterSqlite3(filename)
        other.exec("ALTER TABLE item ADD COLUMN name TEXT")
        other.close()
        expect(yield* read).toEqual([{ id: 1, parent: null, name: null }])
        yield* sql`PRAGMA foreign_keys = OFF`
        expect(yield* sql`PRAGMA foreign_keys`).toEqual([{ foreign_keys: 0 }])
        yield* sql`INSERT INTO item (id, parent) VALUES (2, 7)`
        yield* sql`DELETE FROM item WHERE id = 2`
        yield* sql`PRAGMA foreign_keys = ON`
        expect(codeOf(yield* Effect.flip(sql`INSERT INTO item (id, parent) VALUES (2, 7)`))).toBe(
          "SQLITE_CONSTRAINT_FOREIGNKEY"
        )
      })
    )
  )
})

describe("migrations", () => {
  const exec = (statement: string) =>
    Effect.asVoid(Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(statement)))
  const migrate = (later: Migrations) => bringUpToDate(filename, { ...migrations, ...later })
  const applied = (sql: SqlClient.SqlClient) =>
    Effect.map(
      sql<{
        readonly migration_id: number
      }>`SELECT migration_id FROM effect_sql_migrations ORDER BY migration_id`,
      (rows) => rows.map((row) => row.migration_id)
    )

  it.effect("run once, in the order of their ids", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        const later = {
          "0010_rename": exec("ALTER TABLE item RENAME COLUMN name TO title"),
          "0002_name": exec("ALTER TABLE item ADD COLUMN name TEXT")
        }
        yield* migrate(later)
        yield* migrate(later)
        expect(yield* applied(sql)).toEqual([1, 2, 10])
        yield* sql`INSERT INTO item (id, title) VALUES (1, 'one')`
      })
    )
  )

  it.effect("that fail leave the database unchanged", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        const later = {
          "0002_good": exec("CREATE TABLE good (id INTEGER)"),
          "0003_bad": exec("CREATE NONSENSE")
        }
        const error = yield* Effect.flip(migrate(later))
        expect(error.reason).toBe("other")
        expect(error.message).toContain('Migration "3_bad" failed: near "NONSENSE"')
        expect(yield* applied(sql)).toEqual([1])
        expect(yield* sql`SELECT name FROM sqlite_schema WHERE name = 'good'`).toEqual([])
      })
    )
  )

  it.effect("that find the disk full fail as not-writable", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        yield* sql`PRAGMA max_page_count = 1`
        const later = { "0002_big": exec("CREATE TABLE big AS SELECT zeroblob(1000000)") }
        expect((yield* Effect.flip(migrate(later))).reason).toBe("not-writable")
        expect(yield* applied(sql)).toEqual([1])
      })
    )
  )

  it.effect("that cannot be recorded do not count as applied", () =>
    withDatabase((sql) =>
      Effect.gen(function* () {
        yield* exec(
          "CREATE TRIGGER full BEFORE INSERT ON effect_sql_migrations BEGIN SELECT raise(ABORT, 'full'); END"
        )
        const later = { "0002_more": exec("CREATE TABLE more (id INTEGER)") }
        expect((yield* Effect.flip(migrate(later))).reason).toBe("not-writable")
        expect(yield* applied(sql)).toEqual([1])
      })
    )
  )

  it.effect("that this program does not know fail as newer", () =>
    Effect.gen(function* () {
      yield* withDatabase(() => migrate({ "0002_more": exec("CREATE TABLE more (id INTEGER)") }))
      const error = yield* Effect.flip(openDatabase)
      expect(error.reason).toBe("newer")
    })
  )
})

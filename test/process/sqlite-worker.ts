/**
 * One of the processes of `Sqlite.test.ts`, told over IPC when to begin. It opens the database FILE, adds one to
 * the counter in it TIMES times, each time in a transaction that reads and then writes, and answers pings.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Sqlite from "../../src/internal/Sqlite.js"
import type { Migrations } from "../../src/internal/SqliteMigrations.js"
import { defaults } from "../../src/settings/Timing.js"

export type Order = "begin" | "ping"

export type Answer =
  | { readonly _tag: "Loaded" }
  | { readonly _tag: "Opened" }
  | { readonly _tag: "Pong" }
  | { readonly _tag: "Failed"; readonly message: string }
  | {
      readonly _tag: "Done"
      /** What the counter was after its last addition. */
      readonly counter: number
      /** The longest that the event loop stood still, in milliseconds. */
      readonly longestBlock: number
      /** The longest that a transaction took, in milliseconds. */
      readonly longestTransaction: number
    }

const tell = (answer: Answer) => process.send?.(answer)

const [, , filename = "", times = "0"] = process.argv

const migrations: Migrations = {
  "0001_counter": Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`CREATE TABLE counter (value INTEGER NOT NULL)`
  ),
  // Not idempotent: run twice, there are two counters.
  "0002_row": Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO counter (value) VALUES (0)`)
}

const addOne = Effect.fn(function* (sql: SqlClient.SqlClient) {
  const [row] = yield* sql<{ readonly value: number }>`SELECT value FROM counter`
  const value = (row?.value ?? Number.NaN) + 1
  yield* Effect.yieldNow()
  yield* sql`UPDATE counter SET value = ${value}`
  return value
})

const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`SELECT value FROM counter`
  tell({ _tag: "Opened" })
  let counter = 0
  let longestTransaction = 0
  for (let time = 0; time < Number(times); time++) {
    const start = performance.now()
    counter = yield* sql.withTransaction(addOne(sql))
    longestTransaction = Math.max(longestTransaction, performance.now() - start)
  }
  return { counter, longestTransaction }
}).pipe(
  Effect.provideServiceEffect(
    SqlClient.SqlClient,
    Sqlite.make({ filename, migrations, limits: defaults.database })
  ),
  Effect.scoped
)

process.on("message", (order: Order) => {
  if (order === "ping") return tell({ _tag: "Pong" })
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  const done = program.pipe(
    Effect.map((result): Answer => ({ _tag: "Done", ...result, longestBlock: delay.max / 1e6 })),
    Effect.catchAllCause((cause) => Effect.succeed<Answer>({ _tag: "Failed", message: Cause.pretty(cause) })),
    // Ends the process: nothing else keeps it.
    Effect.flatMap((answer) => Effect.sync(() => process.send?.(answer, () => process.disconnect())))
  )
  return Effect.runFork(done)
})

tell({ _tag: "Loaded" })

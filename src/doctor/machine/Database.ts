/** The store's database: whole, and one that this program can use. */
import * as FileSystem from "@effect/platform/FileSystem"
import BetterSqlite3 from "better-sqlite3"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { type Check, missing, ok, warning } from "../../domain/Check.js"
import { describeError } from "../../domain/ErrorKind.js"
import { SandboxStore, type SandboxStoreShape, StoreError } from "../../store/SandboxStore.js"

const name = "database"

/** Another process may keep the database locked: the store would wait for half a minute. */
const patience = Duration.seconds(10)

const broken = (file: string, what: string) =>
  new StoreError({
    reason: "damaged",
    message: `the database ${file} is damaged: ${what}`,
    hint: "restore it from a backup, or move it aside, with its -wal and -shm, to begin with an empty one"
  })

/** The last migration that the database has; SQLite looks at all of its pages. */
const inspect = (file: string) =>
  Effect.gen(function* () {
    const { damage, migration } = yield* Effect.try({
      try: () => {
        const database = new BetterSqlite3(file, { readonly: true, timeout: 1000 })
        try {
          return {
            damage: String(database.pragma("quick_check(1)", { simple: true })),
            migration: database.prepare("SELECT max(migration_id) FROM effect_sql_migrations").pluck().get()
          }
        } finally {
          database.close()
        }
      },
      catch: (cause) => broken(file, describeError(cause))
    })
    return damage === "ok" ? String(migration) : yield* broken(file, damage)
  })

/** What somebody has to mend before a State Hub is told. */
const hub = ({ outbox }: SandboxStoreShape): Effect.Effect<ReadonlyArray<Check>, StoreError> =>
  Effect.map(outbox.status, ({ refused, sender: { delivering }, waiting }) => [
    ...(delivering.paused && waiting > 0
      ? [
          warning(
            "hub",
            `${delivering.answer} (notes that wait: ${waiting})`,
            "check its address and token, then `sandboxer hub flush`"
          )
        ]
      : []),
    ...(refused > 0
      ? [
          warning(
            "hub",
            `it refused notes: ${refused}`,
            "`sandboxer hub status` says why; `sandboxer hub retry` tries again"
          )
        ]
      : [])
  ])

/** Opens the database as every command does, but makes none. */
export const database = <R>(
  file: string,
  store: Layer.Layer<SandboxStore, StoreError, R>
): Effect.Effect<ReadonlyArray<Check>, never, R | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (!(yield* Effect.orElseSucceed(fs.exists(file), () => true))) {
      return [ok(name, `${file} (made when it is needed)`)]
    }
    const { ofHub, sandboxes } = yield* Effect.provide(
      Effect.flatMap(SandboxStore, (opened) => Effect.all({ ofHub: hub(opened), sandboxes: opened.list })),
      store
    )
    return [ok(name, `${file} (version ${yield* inspect(file)}, sandboxes: ${sandboxes.length})`), ...ofHub]
  }).pipe(
    Effect.timeoutFail({
      duration: patience,
      onTimeout: () =>
        new StoreError({
          reason: "busy",
          message: `another process keeps the database ${file} locked`,
          hint: "`fuser` on the file names it; end it if it hangs"
        })
    }),
    Effect.catchAll(({ hint, message }) => Effect.succeed([missing(name, message, hint)]))
  )

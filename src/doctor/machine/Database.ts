/** Checks that the database of the store is intact and that this version can use it. */
import * as FileSystem from "@effect/platform/FileSystem"
import BetterSqlite3 from "better-sqlite3"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { type Check, missing, ok, warning } from "../../domain/Check.js"
import { describeError } from "../../domain/ErrorKind.js"
import { Timing } from "../../settings/Timing.js"
import { SandboxStore, type SandboxStoreShape, StoreError } from "../../store/SandboxStore.js"

const name = "database"

const broken = (file: string, what: string) =>
  new StoreError({
    reason: "damaged",
    message: `the database ${file} is damaged: ${what}`,
    hint: "restore it from a backup, or move it aside, with its -wal and -shm, to begin with an empty one"
  })

/** Checks all pages of the database; returns its last migration. */
const inspect = (file: string) =>
  Effect.gen(function* () {
    const timeout = Duration.toMillis((yield* Timing).doctor.databaseLock)
    const { damage, migration } = yield* Effect.try({
      try: () => {
        const database = new BetterSqlite3(file, { readonly: true, timeout })
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

/** Problems with the State Hub that a person must solve. */
const hub = ({ outbox }: SandboxStoreShape): Effect.Effect<ReadonlyArray<Check>, StoreError> =>
  Effect.map(outbox.status, ({ delivering, refused, waiting }) => [
    ...(delivering.paused && waiting > 0
      ? [
          warning(
            "hub",
            `${delivering.answer} (waiting notes: ${waiting})`,
            "check its address and token, then `sandboxer hub flush`"
          )
        ]
      : []),
    ...(refused > 0
      ? [
          warning(
            "hub",
            `it rejected notes: ${refused}`,
            "`sandboxer hub status` shows why; `sandboxer hub retry` sends them again"
          )
        ]
      : [])
  ])

/** Opens the database as every command does, but creates none. */
export const database = <R>(
  file: string,
  store: Layer.Layer<SandboxStore, StoreError, R>
): Effect.Effect<ReadonlyArray<Check>, never, R | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (!(yield* Effect.orElseSucceed(fs.exists(file), () => true))) {
      return [ok(name, `${file} (created when it is needed)`)]
    }
    const { ofHub, sandboxes } = yield* Effect.provide(
      Effect.flatMap(SandboxStore, (opened) => Effect.all({ ofHub: hub(opened), sandboxes: opened.count })),
      store
    )
    return [ok(name, `${file} (version ${yield* inspect(file)}, sandboxes: ${sandboxes})`), ...ofHub]
  }).pipe(
    (check) =>
      Effect.flatMap(Timing, ({ doctor }) =>
        Effect.timeoutFail(check, {
          duration: doctor.databaseTimeout,
          onTimeout: () =>
            new StoreError({
              reason: "busy",
              message: `another process keeps the database ${file} locked`,
              hint: "`fuser` on the file names it; end it if it hangs"
            })
        })
      ),
    Effect.catchAll(({ hint, message }) => Effect.succeed([missing(name, message, hint)]))
  )

/**
 * The lease of `serve`: one process serves a state directory. Each term is a file `serve/TERM` that names its holder. A
 * term is taken by linking a file that is complete under the next number, which only one process can do. The file of the
 * newest term stays after the lease was given back, so that no term is used again.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Conflict } from "../domain/Errors.js"
import { Holder } from "../domain/Holder.js"
import { Settings } from "../settings/Settings.js"
import { holderIsDead, hold as holdLease, type LeaseStorage } from "../store/Lease.js"
import { ProcessIdentity } from "../store/ProcessIdentity.js"
import { StoreError } from "../store/SandboxStore.js"

const HolderJson = Schema.parseJson(Holder)

/** The storage, and the file of a term. `serve` has no heartbeat: one that stands still keeps its lease. */
export const makeStorage = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { home } = yield* Settings
  const folder = path.join(home, "serve")
  const fileOf = (term: number) => path.join(folder, String(term))
  const terms = Effect.map(fs.readDirectory(folder), (names) =>
    names.filter((name) => /^\d+$/.test(name)).map(Number)
  )
  const newest = Effect.map(terms, (all) => Math.max(0, ...all))
  yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })

  const storage: LeaseStorage<Effect.Effect.Error<typeof newest>> = {
    read: Effect.gen(function* () {
      const term = yield* newest
      // A file that cannot be read was given back, or was cut off by a crash of the machine, which ended its holder too.
      const holder = yield* Effect.orElseSucceed(
        Effect.flatMap(fs.readFileString(fileOf(term)), Schema.decode(HolderJson)),
        () => null
      )
      return { term, holder, heartbeat: 0 }
    }),
    take: (holder, seen) =>
      Effect.gen(function* () {
        const own = path.join(folder, `.${holder.pid}.${holder.startTime}`)
        yield* fs.writeFileString(own, yield* Effect.orDie(Schema.encode(HolderJson)(holder)), {
          mode: 0o600
        })
        const isLinked = yield* fs.link(own, fileOf(seen + 1)).pipe(
          Effect.as(true),
          Effect.catchIf(
            (error) => error._tag === "SystemError" && error.reason === "AlreadyExists",
            () => Effect.succeed(false)
          ),
          Effect.ensuring(Effect.ignore(fs.remove(own, { force: true })))
        )
        if (!isLinked) return false
        // Another process that took two terms meanwhile has removed the first of them, which this one has now.
        if ((yield* newest) !== seen + 1) {
          yield* fs.remove(fileOf(seen + 1), { force: true })
          return false
        }
        const older = (yield* terms).filter((term) => term <= seen)
        yield* Effect.forEach(older, (term) => fs.remove(fileOf(term), { force: true }), { discard: true })
        return true
      }),
    renew: (term) => Effect.map(newest, (last) => last === term),
    release: (term) => Effect.ignore(fs.truncate(fileOf(term)))
  }
  return { fileOf, storage }
})

const conflict = (holder: Holder | null, self: Holder, home: string, file: string) => {
  if (holder === null || holder.machine === self.machine) {
    return new Conflict({
      reason: "running",
      message: `${holder === null ? "another process" : `process ${holder.pid}`} serves ${home} already`,
      hint: `one is enough${holder === null ? "" : `; \`kill ${holder.pid}\` ends it, and no build`}`
    })
  }
  return new Conflict({
    reason: "running",
    message: `process ${holder.pid} on machine ${holder.machine} serves ${home} already`,
    hint: `one is enough; if that machine is gone for good, remove ${file}`
  })
}

/** Runs `work` while this process holds the lease; a `Conflict` that names the holder where that is another one. */
export const hold = <A, R>(work: Effect.Effect<A, StoreError, R>) =>
  Effect.gen(function* () {
    const { home } = yield* Settings
    const { self } = yield* ProcessIdentity
    const { fileOf, storage } = yield* makeStorage
    return yield* Effect.catchTag(
      holdLease(storage, holderIsDead, () => work),
      "LeaseTaken",
      ({ lease: { holder, term } }) => conflict(holder, self, home, fileOf(term))
    )
  }).pipe(
    Effect.catchTags({
      BadArgument: Effect.die,
      SystemError: ({ message }) =>
        new StoreError({
          reason: "not-writable",
          message: `the state directory cannot be written: ${message}`,
          hint: "check the disk's space and the folder's permissions"
        })
    })
  )

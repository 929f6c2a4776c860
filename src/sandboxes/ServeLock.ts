/** One `serve` a state directory: whoever has the newest term of it, for as long as its process lives. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Conflict } from "../domain/Errors.js"
import { Holder } from "../domain/Holder.js"
import { Settings } from "../settings/Settings.js"
import { ProcessIdentity } from "../store/ProcessIdentity.js"
import { StoreError } from "../store/SandboxStore.js"

const HolderJson = Schema.parseJson(Holder)

const taken = ({ machine, pid }: Holder, self: Holder, home: string, file: string) =>
  new Conflict({
    reason: "running",
    message: `process ${pid}${machine === self.machine ? "" : ` of machine ${machine}`} serves ${home} already`,
    hint:
      machine === self.machine
        ? `one is enough; \`kill ${pid}\` ends it, and no build`
        : `one is enough; if that machine is gone for good, remove ${file}`
  })

/**
 * Takes the state directory, or fails naming who has it; nobody needs to give it back. Each term is a file that is
 * whole as it gets its name, which only one can give it. The newest stays: so no term is had twice.
 */
export const take = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { home } = yield* Settings
  const { mayBeAlive, self } = yield* ProcessIdentity
  const folder = path.join(home, "serve")
  const fileOf = (term: number) => path.join(folder, String(term))
  const terms = Effect.map(fs.readDirectory(folder), (names) =>
    names.filter((name) => /^\d+$/.test(name)).map(Number)
  )
  const newest = Effect.map(terms, (all) => Math.max(0, ...all))

  const attempt = Effect.gen(function* () {
    const last = yield* newest
    // One that cannot be read was cut off by a crash of the machine, and its holder with it.
    const holder = yield* Effect.option(
      Effect.flatMap(fs.readFileString(fileOf(last)), Schema.decode(HolderJson))
    )
    if (Option.isSome(holder) && (yield* mayBeAlive(holder.value))) {
      return yield* taken(holder.value, self, home, fileOf(last))
    }
    const own = path.join(folder, `.${self.pid}.${self.startTime}`)
    const text = yield* Effect.orDie(Schema.encode(HolderJson)(self))
    yield* fs.writeFileString(own, text, { mode: 0o600 })
    const named = yield* fs.link(own, fileOf(last + 1)).pipe(
      Effect.as(true),
      Effect.catchIf(
        (error) => error._tag === "SystemError" && error.reason === "AlreadyExists",
        () => Effect.succeed(false)
      ),
      Effect.ensuring(Effect.ignore(fs.remove(own, { force: true })))
    )
    if (!named) return false
    // Whoever was quicker by two terms has removed the one that this is.
    if ((yield* newest) !== last + 1) {
      yield* fs.remove(fileOf(last + 1), { force: true })
      return false
    }
    const older = (yield* terms).filter((term) => term <= last)
    yield* Effect.forEach(older, (term) => fs.remove(fileOf(term), { force: true }), { discard: true })
    return true
  })

  yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
  yield* Effect.repeat(attempt, { until: (ours) => ours })
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

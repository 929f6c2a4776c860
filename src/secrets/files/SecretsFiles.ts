/** Secrets in a private file (0600) next to the Jobs of the sandbox. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Settings } from "../../settings/Settings.js"
import { StoreError } from "../../store/SandboxStore.js"
import { Secrets } from "../Secrets.js"

const Values = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.String }))

const failed = (error: { readonly message: string }) =>
  new StoreError({
    reason: "not-writable",
    message: `secrets cannot be written: ${error.message}`,
    hint: "check the disk's space and the state directory's permissions"
  })

// The message does not say what is wrong with the text, since that would show the text.
const unreadable = (file: string) =>
  new StoreError({
    reason: "damaged",
    message: `secrets cannot be read from ${file}`,
    hint: "cancel the sandbox, and create it again"
  })

/** @category layers */
export const layer = Layer.effect(
  Secrets,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { home } = yield* Settings
    const folderOf = (id: string) => path.join(home, "jobs", id)
    const fileOf = (id: string, attempt: number) =>
      path.join(folderOf(id), attempt === 1 ? "secrets.json" : `secrets.${attempt}.json`)
    /** The attempts up to this one that have a file, newest first. */
    const attempts = (id: string, last: number) =>
      Effect.map(
        Effect.orElseSucceed(fs.readDirectory(folderOf(id)), () => []),
        (names) =>
          names
            .flatMap((name) => {
              const found = /^secrets(?:\.(\d+))?\.json$/.exec(name)
              return found === null ? [] : [Number(found[1] ?? 1)]
            })
            .filter((attempt) => attempt <= last)
            .toSorted((a, b) => b - a)
      )
    const forget = (id: string, attempt: number) =>
      Effect.gen(function* () {
        const folder = folderOf(id)
        yield* Effect.forEach(
          yield* attempts(id, attempt),
          (old) => fs.remove(fileOf(id, old), { force: true }),
          { discard: true }
        )
        const others = yield* Effect.option(fs.readDirectory(folder))
        // The folder is empty if no Job ran on this machine.
        if (Option.isSome(others) && others.value.length === 0) {
          yield* fs.remove(folder, { recursive: true, force: true })
        }
      }).pipe(Effect.mapError(failed))
    return {
      put: (id, attempt, values) =>
        Object.keys(values).length === 0
          ? Effect.void
          : Effect.gen(function* () {
              const shown = Object.fromEntries(
                Object.entries(values).map(([name, value]) => [name, Redacted.value(value)])
              )
              yield* fs.makeDirectory(folderOf(id), { recursive: true, mode: 0o700 })
              const text = yield* Effect.orDie(Schema.encode(Values)(shown))
              yield* fs.writeFileString(fileOf(id, attempt), text, { mode: 0o600 })
            }).pipe(
              Effect.mapError(failed),
              // A partial file is useless, and nobody else knows of the file yet.
              Effect.onError(() => Effect.ignore(forget(id, attempt)))
            ),
      get: (id, attempt) =>
        Effect.gen(function* () {
          const [newest] = yield* attempts(id, attempt)
          if (newest === undefined) return {}
          const file = fileOf(id, newest)
          const shown = yield* Effect.mapError(
            Effect.flatMap(fs.readFileString(file), Schema.decode(Values)),
            () => unreadable(file)
          )
          return Object.fromEntries(
            Object.entries(shown).map(([name, value]) => [name, Redacted.make(value)])
          )
        }),
      forget
    }
  })
)

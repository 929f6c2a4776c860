/** Secrets in a private file (0600) beside the sandbox's jobs. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { StoreError } from "../SandboxStore.js"
import { Secrets } from "../Secrets.js"
import { Settings } from "../Settings.js"

const Values = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.String }))

const failed = (error: { readonly message: string }) =>
  new StoreError({
    reason: "not-writable",
    message: `secrets cannot be kept: ${error.message}`,
    hint: "check the disk's space and the state directory's permissions"
  })

// What is wrong with the text is not told: that would tell the text.
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
    const file = (id: string) => path.join(home, "jobs", id, "secrets.json")
    return {
      put: (id, values) =>
        Object.keys(values).length === 0
          ? Effect.void
          : Effect.gen(function* () {
              const shown = Object.fromEntries(
                Object.entries(values).map(([name, value]) => [name, Redacted.value(value)])
              )
              yield* fs.makeDirectory(path.dirname(file(id)), { recursive: true, mode: 0o700 })
              yield* fs.writeFileString(file(id), yield* Effect.orDie(Schema.encode(Values)(shown)), {
                mode: 0o600
              })
            }).pipe(Effect.mapError(failed)),
      get: (id) =>
        Effect.gen(function* () {
          if (!(yield* fs.exists(file(id)))) return {}
          const shown = yield* Effect.flatMap(fs.readFileString(file(id)), Schema.decode(Values))
          return Object.fromEntries(
            Object.entries(shown).map(([name, value]) => [name, Redacted.make(value)])
          )
        }).pipe(Effect.mapError(() => unreadable(file(id)))),
      forget: (id) =>
        Effect.gen(function* () {
          const folder = path.dirname(file(id))
          yield* fs.remove(file(id), { force: true })
          const others = yield* Effect.option(fs.readDirectory(folder))
          // Where nothing ran, or ran elsewhere, there was nothing else in it.
          if (Option.isSome(others) && others.value.length === 0) {
            yield* fs.remove(folder, { recursive: true, force: true })
          }
        }).pipe(Effect.mapError(failed))
    }
  })
)

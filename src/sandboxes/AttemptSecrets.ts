/** The values of an attempt's secret inputs: read and stored before the attempt is recorded. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { UsageError } from "../domain/Errors.js"
import { type InputDeclarations, prompt } from "../domain/Input.js"
import type { SandboxId } from "../domain/Sandbox.js"
import { Secrets, type SecretValues } from "../secrets/Secrets.js"
import { SandboxStore } from "../store/SandboxStore.js"
import type { RetryRequest } from "./Request.js"

/** Reads the values from their `sources`, as a plan has them; `inputs` describe the secrets that a person is asked for. */
export const readSecrets = Effect.fn(function* (
  sources: Readonly<Record<string, string>>,
  { askSecret, environment }: RetryRequest,
  inputs: InputDeclarations
) {
  const fs = yield* FileSystem.FileSystem
  // Resolve the other sources before prompting.
  const asked = Object.entries(sources).filter(([, source]) => source === prompt)
  const others = Object.entries(sources).filter(([, source]) => source !== prompt)
  return yield* Effect.map(
    Effect.forEach([...others, ...asked], ([name, source]) => {
      const missing = (what: string) =>
        new UsageError({
          reason: "input",
          message: `input ${name}: ${what}`,
          hint: "give a source that has a value"
        })
      if (source === prompt && askSecret !== undefined) {
        return Effect.map(askSecret(name, inputs[name]?.description), (secret) => [name, secret] as const)
      }
      const value = source.startsWith("env:")
        ? Effect.fromNullable(environment[source.slice(4)] || null).pipe(
            Effect.mapError(() => missing(`the environment has no ${source.slice(4)}`))
          )
        : // Editors end a file with a newline, which is not part of the secret.
          fs.readFileString(source.slice(1)).pipe(
            Effect.map((text) => text.replace(/\r?\n$/, "")),
            Effect.mapError(() => missing(`${source.slice(1)} cannot be read`))
          )
      return Effect.map(value, (text) => [name, Redacted.make(text)] as const)
    }),
    (entries): SecretValues => Object.fromEntries(entries)
  )
})

/** Removes the stored values of an attempt that was not recorded; returns whether it was recorded. */
export const removeIfUnrecorded = (id: SandboxId, attempt: number) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const sandbox = yield* store.get(id)
    const recorded = sandbox !== undefined && sandbox.attempt >= attempt
    if (!recorded) yield* Effect.flatMap(Secrets, (secrets) => secrets.forget(id, attempt))
    return recorded
  })

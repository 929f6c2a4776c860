/** The values of an attempt's secret inputs: read and stored before the attempt is recorded. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { UsageError } from "../domain/Errors.js"
import { type InputDeclarations, type InputValues, prompt } from "../domain/Input.js"
import type { SandboxId } from "../domain/Sandbox.js"
import { Secrets, type SecretValues } from "../secrets/Secrets.js"
import { SandboxStore } from "../store/SandboxStore.js"
import type { RetryRequest } from "./Request.js"

/** Reads the values from their `sources`, as a plan has them. A person who is asked sees what `declarations` say of them. */
export const readSecrets = Effect.fn(function* (
  sources: Readonly<Record<string, string>>,
  { askSecret, environment, inputs = {} }: RetryRequest & { readonly inputs?: InputValues },
  declarations: InputDeclarations
) {
  const fs = yield* FileSystem.FileSystem
  const failure = (name: string, message: string, hint = "give a source that has a value") =>
    new UsageError({ reason: "input", message: `input ${name}: ${message}`, hint })
  const stored = ([name, source]: readonly [string, string]) =>
    source.startsWith("env:")
      ? Effect.fromNullable(environment[source.slice(4)] || null).pipe(
          Effect.mapBoth({
            onSuccess: Redacted.make,
            onFailure: () => failure(name, `the environment has no ${source.slice(4)}`)
          })
        )
      : fs.readFileString(source.slice(1)).pipe(
          Effect.mapBoth({
            // Editors end a file with a newline, which is not part of the secret.
            onSuccess: (text) => Redacted.make(text.replace(/\r?\n$/, "")),
            onFailure: () => failure(name, `${source.slice(1)} cannot be read`)
          })
        )
  const given = (name: string) => {
    const value = inputs[name]
    if (Redacted.isRedacted(value)) return Effect.succeed(value)
    return askSecret === undefined
      ? failure(name, "its value is not kept", "run this at a terminal, to type it")
      : askSecret(name, declarations[name]?.description)
  }
  // Resolve the other sources before prompting.
  const [others, prompted] = Array.partition(Object.entries(sources), ([, source]) => source === prompt)
  const entries = [
    ...(yield* Effect.forEach(others, (other) =>
      Effect.map(stored(other), (value) => [other[0], value] as const)
    )),
    ...(yield* Effect.forEach(prompted, ([name]) =>
      Effect.map(given(name), (value) => [name, value] as const)
    ))
  ]
  const values: SecretValues = Object.fromEntries(entries)
  return values
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

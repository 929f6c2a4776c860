/** Reads the values of secret inputs from where a plan says that they are. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { UsageError } from "../domain/Errors.js"
import { type InputDeclarations, prompt } from "../domain/Input.js"
import type { SecretValues } from "../secrets/Secrets.js"
import type { RetryRequest } from "./Request.js"

/** `sources` by input, as a plan has them; `inputs` say of one that is typed what it is. */
export const readSecrets = Effect.fn(function* (
  sources: Readonly<Record<string, string>>,
  { askSecret, environment }: RetryRequest,
  inputs: InputDeclarations
) {
  const fs = yield* FileSystem.FileSystem
  // Nobody types before it is known that the others are there.
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
        : // An editor ends a file's last line; that is not part of the secret.
          fs.readFileString(source.slice(1)).pipe(
            Effect.map((text) => text.replace(/\r?\n$/, "")),
            Effect.mapError(() => missing(`${source.slice(1)} cannot be read`))
          )
      return Effect.map(value, (text) => [name, Redacted.make(text)] as const)
    }),
    (entries): SecretValues => Object.fromEntries(entries)
  )
})

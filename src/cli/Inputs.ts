/** `-i key=value`, `-i key.name=value` and `--inputs-file`: the inputs as they were given. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { UsageError } from "../domain/Errors.js"
import type { GivenInput, GivenInputs } from "../domain/Input.js"
import { type DocumentKind, read } from "../settings/Documents.js"

/** A key that is repeated is a list, `key.name=value` an entry of a map. */
export const parseInputs = (given: ReadonlyArray<string>): Either.Either<GivenInputs, UsageError> =>
  Either.gen(function* () {
    const inputs = new Map<string, GivenInput>()
    for (const word of given) {
      const match = /^([A-Za-z_][A-Za-z0-9_-]*)(?:\.([^=]+))?=([\s\S]*)$/.exec(word)
      if (match === null) {
        return yield* Either.left(
          new UsageError({
            reason: "input",
            message: `-i ${word} is no input`,
            hint: "write -i KEY=VALUE, or -i KEY.NAME=VALUE for a map"
          })
        )
      }
      const [, key = "", name, value = ""] = match
      const before = inputs.get(key)
      if (before !== undefined && (before._tag === "Entries") !== (name !== undefined)) {
        return yield* Either.left(
          new UsageError({
            reason: "input",
            message: `input ${key} is given as a value and as a map`,
            hint: `write either -i ${key}=… or -i ${key}.NAME=…`
          })
        )
      }
      inputs.set(
        key,
        name === undefined
          ? { _tag: "Texts", texts: [...(before?._tag === "Texts" ? before.texts : []), value] }
          : {
              _tag: "Entries",
              entries: { ...(before?._tag === "Entries" ? before.entries : {}), [name]: value }
            }
      )
    }
    return Object.fromEntries(inputs)
  })

const inputsFile: DocumentKind = {
  reason: "input",
  name: "an inputs file",
  begin: "begin with `NAME: VALUE`, a line for each input"
}

/** Reads a map of inputs, YAML or JSON. */
export const readInputsFile = (file: string): Effect.Effect<GivenInputs, UsageError, FileSystem.FileSystem> =>
  Effect.map(read(file, inputsFile), ({ keys, locate }) =>
    Object.fromEntries(
      Object.entries(keys).map(([name, value]) => [
        name,
        { _tag: "Value", value, location: { file, ...locate([name]) } }
      ])
    )
  )

/** What was given on the command line wins over what a file says; in a map, entry by entry. */
export const over = (inFile: GivenInputs, given: GivenInputs): GivenInputs => {
  const entries = Object.entries(given).map(([name, input]): [string, GivenInput] => {
    const below = Object.hasOwn(inFile, name) ? inFile[name] : undefined
    return input._tag === "Entries" && below?._tag === "Value" && isMap(below.value)
      ? [name, { ...below, value: { ...below.value, ...input.entries } }]
      : [name, input]
  })
  return { ...inFile, ...Object.fromEntries(entries) }
}

const isMap = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value)

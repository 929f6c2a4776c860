/** `-i key=value`, `-i key.name=value` and `--inputs-file`. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { UsageError } from "../domain/Errors.js"
import type { InputLocations, InputValue, InputValues } from "../domain/Input.js"
import { type DocumentKind, read } from "../settings/Documents.js"

type Texts = string | ReadonlyArray<string>
type Entries = Readonly<Record<string, string>>

const isMap = (value: unknown): value is Readonly<Record<string, InputValue>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Inputs as the words after each `-i` give them: a repeated key is a list, `key.name=value` an entry of a map. */
export const parseInputs = (
  words: ReadonlyArray<string>
): Either.Either<Readonly<Record<string, Texts | Entries>>, UsageError> =>
  Either.gen(function* () {
    const texts = new Map<string, Texts>()
    const maps = new Map<string, Entries>()
    for (const word of words) {
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
      const before = texts.get(key)
      if (name !== undefined) maps.set(key, { ...maps.get(key), [name]: value })
      else texts.set(key, before === undefined ? value : [before, value].flat())
      if (texts.has(key) && maps.has(key)) {
        return yield* Either.left(
          new UsageError({
            reason: "input",
            message: `input ${key} is given as a value and as a map`,
            hint: `write either -i ${key}=… or -i ${key}.NAME=…`
          })
        )
      }
    }
    return Object.fromEntries<Texts | Entries>([...texts, ...maps])
  })

const inputsFile: DocumentKind = {
  reason: "input",
  name: "an inputs file",
  begin: "begin with `NAME: VALUE`, a line for each input"
}

export interface LocatedInputs {
  readonly inputs: InputValues
  readonly inputLocations: InputLocations
}

/** Reads a map of inputs, YAML or JSON. */
export const readInputsFile = (
  file: string
): Effect.Effect<LocatedInputs, UsageError, FileSystem.FileSystem> =>
  Effect.map(read(file, inputsFile), ({ keys, locate }) => ({
    // YAML has no other values than null, which no input takes.
    inputs: keys as InputValues,
    inputLocations: Object.fromEntries(
      Object.keys(keys).map((name) => [name, { file, ...locate([name]) }] as const)
    )
  }))

/** The inputs of a file and of the command line, which wins over the file; in a map, entry by entry. */
export const over = ({ inputLocations, inputs }: LocatedInputs, words: InputValues): LocatedInputs => {
  const locations = new Map(Object.entries(inputLocations))
  const entries = Object.entries(words).map(([name, value]): [string, InputValue] => {
    const inFile = Object.hasOwn(inputs, name) ? inputs[name] : undefined
    if (isMap(value) && isMap(inFile)) return [name, { ...inFile, ...value } as InputValue]
    locations.delete(name)
    return [name, value]
  })
  return {
    inputs: { ...inputs, ...Object.fromEntries(entries) },
    inputLocations: Object.fromEntries(locations)
  }
}

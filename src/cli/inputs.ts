/** `-i key=value`, `-i key.name=value`: the inputs as they were given. */
import * as Either from "effect/Either"
import { UsageError } from "../domain/Errors.js"
import type { GivenInput, GivenInputs } from "../domain/Input.js"

/** A key that is repeated is a list, `key.name=value` an entry of a map. */
export const parseInputs = (given: ReadonlyArray<string>): Either.Either<GivenInputs, UsageError> =>
  Either.gen(function* () {
    const inputs: Record<string, GivenInput> = {}
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
      const before = inputs[key]
      if (before !== undefined && (before._tag === "Entries") !== (name !== undefined)) {
        return yield* Either.left(
          new UsageError({
            reason: "input",
            message: `input ${key} is given as a value and as a map`,
            hint: `write either -i ${key}=… or -i ${key}.NAME=…`
          })
        )
      }
      inputs[key] =
        name === undefined
          ? { _tag: "Texts", texts: [...(before?._tag === "Texts" ? before.texts : []), value] }
          : {
              _tag: "Entries",
              entries: { ...(before?._tag === "Entries" ? before.entries : {}), [name]: value }
            }
    }
    return inputs
  })

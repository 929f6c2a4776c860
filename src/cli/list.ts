import * as Command from "@effect/cli/Command"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import { Sandboxes, type SandboxField } from "../sandboxes/Sandboxes.js"
import * as options from "./Options.js"
import { printList } from "./Printer.js"
import { sandboxesAt } from "./SandboxKinds.js"

const fields: ReadonlyArray<SandboxField> = ["id", "name", "profile", "extension", "mode", "state", "host"]

const filter = (text: string): Effect.Effect<readonly [SandboxField, string], UsageError> => {
  const [key = "", ...rest] = text.split("=")
  const field = fields.find((one) => one === key)
  return field === undefined || rest.length === 0
    ? Effect.fail(
        new UsageError({
          reason: "usage",
          message: `--filter ${text} is no filter`,
          hint: didYouMean(key, fields, `write KEY=VALUE; keys are ${fields.join(", ")}`)
        })
      )
    : Effect.succeed([field, rest.join("=")])
}

const make = (name: string, description: string) =>
  Command.make(
    name,
    {
      all: options.flag("all", "The dead too", "a"),
      filters: options.texts("filter", "Those alone whose KEY is VALUE"),
      output: options.output
    },
    ({ all, filters: given, output }) =>
      Effect.gen(function* () {
        const where = yield* Effect.forEach(given, filter)
        const manager = yield* Sandboxes
        const found = yield* manager.list({ living: !all, where })
        yield* printList(output, sandboxesAt(yield* DateTime.now), found)
      })
  ).pipe(Command.withDescription(description))

export const list = make("list", "List the sandboxes that live")
export const ls = make("ls", "Short for list")

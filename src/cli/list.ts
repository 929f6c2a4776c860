import * as Command from "@effect/cli/Command"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import { isLiving, type Sandbox } from "../domain/Sandbox.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import * as options from "./Options.js"
import { printList } from "./Printer.js"
import { sandboxesAt } from "./SandboxKinds.js"

const filters: Readonly<Record<string, (sandbox: Sandbox) => string>> = {
  id: ({ id }) => id,
  name: ({ name }) => name,
  profile: ({ profile }) => profile,
  extension: ({ extension }) => extension,
  mode: ({ mode }) => mode,
  state: ({ state }) => state,
  host: ({ placement }) => placement.host
}

const filter = (text: string): Effect.Effect<(sandbox: Sandbox) => boolean, UsageError> => {
  const [key = "", ...rest] = text.split("=")
  const field = filters[key]
  return field === undefined || rest.length === 0
    ? Effect.fail(
        new UsageError({
          reason: "usage",
          message: `--filter ${text} is no filter`,
          hint: didYouMean(
            key,
            Object.keys(filters),
            `write KEY=VALUE; keys are ${Object.keys(filters).join(", ")}`
          )
        })
      )
    : Effect.succeed((sandbox) => field(sandbox) === rest.join("="))
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
        const keep = yield* Effect.forEach(given, filter)
        const manager = yield* Sandboxes
        const found = (yield* manager.list).filter(
          (sandbox) => (all || isLiving(sandbox.state)) && keep.every((matches) => matches(sandbox))
        )
        yield* printList(output, sandboxesAt(yield* DateTime.now), found)
      })
  ).pipe(Command.withDescription(description))

export const list = make("list", "List the sandboxes that live")
export const ls = make("ls", "Short for list")

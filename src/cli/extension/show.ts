import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { type Extension, Extensions } from "../../recipe/Extension.js"
import * as options from "../Options.js"
import { type Kind, printOne } from "../Printer.js"
import { extensions } from "./list.js"

const extensionInFull: Kind<Extension> = {
  ...extensions,
  columns: [
    ["id", ({ id }) => id],
    ["description", ({ description }) => description],
    [
      "modes",
      ({ modes }) =>
        Object.entries(modes)
          .flatMap(([name, mode]) => [
            `${name}: ${mode.description}`,
            ...Object.entries(mode.inputs).map(
              ([input, { description = "", required, type }]) =>
                `  ${input} (${type}${required === true ? ", required" : ""})  ${description}`
            )
          ])
          .join("\n")
    ]
  ]
}

export const show = Command.make(
  "show",
  {
    id: Args.text({ name: "EXTENSION" }).pipe(Args.withDescription("An extension's id")),
    output: options.output
  },
  ({ id, output }) =>
    Effect.gen(function* () {
      const found = yield* Extensions
      yield* printOne(output, extensionInFull, yield* found.get(id.startsWith("ext.") ? id : `ext.${id}`))
    })
).pipe(Command.withDescription("Show an extension: its modes, and the inputs that each takes"))

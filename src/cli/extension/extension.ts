import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { type Extension, Extensions } from "../../recipe/Extension.js"
import * as options from "../Options.js"
import { type Kind, printList, printOne } from "../Printer.js"

const extensions: Kind<Extension> = {
  kind: "Extension",
  document: ({ description, id, modes }) => ({
    id,
    description,
    modes: Object.entries(modes).map(([name, mode]) => ({
      name,
      description: mode.description,
      inputs: Object.entries(mode.inputs).map(([input, declaration]) => ({ name: input, ...declaration }))
    }))
  }),
  name: ({ id }) => id,
  columns: [
    ["id", ({ id }) => id],
    ["modes", ({ modes }) => Object.keys(modes).join(", ")],
    ["description", ({ description }) => description]
  ]
}

const inFull: Kind<Extension> = {
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

const list = Command.make("list", { output: options.output }, ({ output }) =>
  Effect.flatMap(Extensions, (found) => printList(output, extensions, found.list))
).pipe(Command.withDescription("List the extensions that there are"))

const show = Command.make(
  "show",
  {
    id: Args.text({ name: "EXTENSION" }).pipe(Args.withDescription("An extension's id")),
    output: options.output
  },
  ({ id, output }) =>
    Effect.gen(function* () {
      const found = yield* Extensions
      yield* printOne(output, inFull, yield* found.get(id.startsWith("ext.") ? id : `ext.${id}`))
    })
).pipe(Command.withDescription("Show an extension: its modes, and the inputs that each takes"))

export const extension = Command.make("extension").pipe(
  Command.withDescription("What provisions sandboxes"),
  Command.withSubcommands([list, show])
)

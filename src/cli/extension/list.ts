import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { type Extension, Extensions } from "../../recipe/Extension.js"
import * as options from "../Options.js"
import { type Kind, printList } from "../Printer.js"

export const extensions: Kind<Extension> = {
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

export const list = Command.make("list", { output: options.output }, ({ output }) =>
  Effect.flatMap(Extensions, (found) => printList(output, extensions, found.list))
).pipe(Command.withDescription("List the extensions that there are"))

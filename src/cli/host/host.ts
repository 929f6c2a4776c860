import * as Command from "@effect/cli/Command"
import { check } from "./check.js"
import { list } from "./list.js"

export const host = Command.make("host").pipe(
  Command.withDescription("Machines that sandboxes are provisioned on"),
  Command.withSubcommands([list, check])
)

import * as Command from "@effect/cli/Command"
import { explain } from "./explain.js"
import { init } from "./init.js"
import { list } from "./list.js"
import { show } from "./show.js"
import { validate } from "./validate.js"

export const profile = Command.make("profile").pipe(
  Command.withDescription("What sandboxes are created from"),
  Command.withSubcommands([list, show, explain, validate, init])
)

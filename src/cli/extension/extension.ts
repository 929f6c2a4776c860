import * as Command from "@effect/cli/Command"
import { list } from "./list.js"
import { show } from "./show.js"

export const extension = Command.make("extension").pipe(
  Command.withDescription("What provisions sandboxes"),
  Command.withSubcommands([list, show])
)

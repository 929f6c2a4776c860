import * as Command from "@effect/cli/Command"
import { list } from "./list.js"
import { path } from "./path.js"
import { show } from "./show.js"
import { verify } from "./verify.js"

export const artifact = Command.make("artifact").pipe(
  Command.withDescription("What sandboxes made, and we keep"),
  Command.withSubcommands([list, show, path, verify])
)

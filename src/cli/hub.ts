import * as Command from "@effect/cli/Command"
import { serve } from "./hubServe.js"

export const hub = Command.make("hub").pipe(
  Command.withDescription("The State Hub that is told how sandboxes fare"),
  Command.withSubcommands([serve])
)

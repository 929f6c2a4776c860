import * as Command from "@effect/cli/Command"
import { flush } from "./flush.js"
import { retry } from "./retry.js"
import { serve } from "./serve.js"
import { status } from "./status.js"

export const hub = Command.make("hub").pipe(
  Command.withDescription("The State Hub that is told how sandboxes fare"),
  Command.withSubcommands([status, flush, retry, serve])
)

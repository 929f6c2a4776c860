import * as Command from "@effect/cli/Command"
import { flush } from "./hubFlush.js"
import { retry } from "./hubRetry.js"
import { serve } from "./hubServe.js"
import { status } from "./hubStatus.js"

export const hub = Command.make("hub").pipe(
  Command.withDescription("The State Hub that is told how sandboxes fare"),
  Command.withSubcommands([status, flush, retry, serve])
)

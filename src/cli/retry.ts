import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { askSecret } from "./AskSecret.js"
import { followToCompletion } from "./Follow.js"
import { warnOfHub } from "./NotifyHub.js"
import * as options from "./Options.js"
import { printOne } from "./Printer.js"
import { find, reference } from "./SandboxArgument.js"
import { sandboxes } from "./SandboxKinds.js"

export const retry = Command.make(
  "retry",
  {
    id: reference,
    detach: options.flag("detach", "Do not wait for the provision to end"),
    progress: options.progress,
    output: options.output
  },
  ({ detach, id, output, progress }) =>
    Effect.gen(function* () {
      const manager = yield* Sandboxes
      const { id: found } = yield* find(id)
      const before = yield* manager.events(found, 0)
      yield* warnOfHub
      const sandbox = yield* manager.retry(found, {
        environment: process.env,
        detach,
        ...(askSecret === undefined ? {} : { askSecret })
      })
      if (detach) return yield* printOne(output, sandboxes, sandbox)
      yield* followToCompletion(sandbox, { output, progress, after: before.at(-1)?.seq ?? 0 })
    })
).pipe(
  Command.withDescription(
    "Provision once more what failed or was cancelled, with the same plan, and follow it to its end"
  )
)

import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { Sandboxes } from "../Sandboxes.js"
import { askSecret } from "./ask.js"
import * as options from "./options.js"
import { printOne, sandboxes, sandboxInFull } from "./output.js"
import { conclude, follow } from "./progress.js"
import { find, reference } from "./reference.js"
import { told, warnOfHub } from "./told.js"

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
      const after = before.at(-1)?.seq ?? 0
      yield* told(
        Effect.gen(function* () {
          const ended = yield* follow(sandbox, { mode: progress, cancels: true, after })
          yield* printOne(output, output === "table" ? sandboxInFull : sandboxes, ended)
          yield* conclude(ended)
        })
      )
    })
).pipe(
  Command.withDescription(
    "Provision once more what failed or was cancelled, with the same plan, and follow it to its end"
  )
)

import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { notifyHub } from "./NotifyHub.js"
import * as options from "./Options.js"
import { conclude, follow } from "./Progress.js"
import { find, reference } from "./SandboxArgument.js"

export const watch = Command.make(
  "watch",
  { id: reference, progress: options.progress },
  ({ id, progress }) =>
    Effect.gen(function* () {
      const sandbox = yield* find(id)
      yield* conclude(yield* follow(sandbox, { mode: progress, cancels: false }))
    }).pipe(notifyHub)
).pipe(Command.withDescription("Follow a provision to its end; leaving does not cancel it"))

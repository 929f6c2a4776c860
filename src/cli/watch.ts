import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { notifyHub } from "./notifyHub.js"
import * as options from "./options.js"
import { conclude, follow } from "./progress.js"
import { find, reference } from "./reference.js"

export const watch = Command.make(
  "watch",
  { id: reference, progress: options.progress },
  ({ id, progress }) =>
    Effect.gen(function* () {
      const sandbox = yield* find(id)
      yield* conclude(yield* follow(sandbox, { mode: progress, cancels: false }))
    }).pipe(notifyHub)
).pipe(Command.withDescription("Follow a provision to its end; leaving does not cancel it"))

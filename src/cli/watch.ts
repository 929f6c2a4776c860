import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { end, ofSandbox } from "./ExitCode.js"
import { follow } from "./Follow.js"
import { notifyHub } from "./NotifyHub.js"
import * as options from "./Options.js"
import { find, reference } from "./SandboxArgument.js"

export const watch = Command.make(
  "watch",
  { id: reference, progress: options.progress },
  ({ id, progress }) =>
    Effect.gen(function* () {
      const sandbox = yield* find(id)
      yield* end(ofSandbox(yield* follow(sandbox, { progress, cancels: false })))
    }).pipe(notifyHub)
).pipe(Command.withDescription("Follow a provision to its end; leaving does not cancel it"))

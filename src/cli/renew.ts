import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { notifyHub } from "./NotifyHub.js"
import * as options from "./Options.js"
import { printOne } from "./Printer.js"
import { find, reference } from "./SandboxArgument.js"
import { sandboxInFull } from "./SandboxKinds.js"

export const renew = Command.make(
  "renew",
  {
    id: reference,
    ttlSeconds: options.duration("ttl", 'How long it lives from now on: 90m, "12 hours"'),
    output: options.output
  },
  ({ id, output, ttlSeconds }) =>
    Effect.gen(function* () {
      const manager = yield* Sandboxes
      const { id: found } = yield* find(id)
      const renewed = yield* manager.renew(found, ttlSeconds)
      yield* printOne(output, sandboxInFull, renewed)
    }).pipe(notifyHub)
).pipe(Command.withDescription("Let a sandbox that is ready live longer, or end sooner"))

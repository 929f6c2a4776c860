import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { Conflict } from "../domain/Errors.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { notifyHub } from "./NotifyHub.js"
import { report } from "./Printer.js"
import { find, reference } from "./SandboxArgument.js"

export const cancel = Command.make("cancel", { id: reference }, ({ id }) =>
  Effect.gen(function* () {
    const manager = yield* Sandboxes
    const sandbox = yield* find(id)
    yield* manager.cancel(sandbox.id)
    const { name, state } = yield* manager.wait(sandbox.id)
    if (state !== "cancelled") {
      return yield* new Conflict({
        reason: "ended",
        message: `${name} ended before it could be cancelled: it is ${state}`,
        hint: `\`sandboxer show ${name}\` says more`
      })
    }
    const cancelled = (yield* manager.events(sandbox.id, 0)).find((event) => event.type === "cancelled")
    yield* report(
      `${name}: cancelled; nothing of it runs any more (${JSON.stringify(cancelled?.data.proof)})`
    )
  }).pipe(notifyHub)
).pipe(Command.withDescription("Cancel a provision, and wait for the proof that nothing of it runs"))

import * as Effect from "effect/Effect"
import { Conflict } from "../domain/Errors.js"
import { hasEnded, type SandboxId } from "../domain/Sandbox.js"
import { SandboxStore } from "../store/SandboxStore.js"
import { get } from "./Find.js"

/** See `SandboxesShape.cancel`. */
export const cancel = (id: SandboxId) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const { name, state } = yield* get(id)
    if (state === "cancelled") return
    if (hasEnded(state)) {
      return yield* new Conflict({
        reason: "ended",
        message: `the provision of ${name} has ended: it is ${state}`,
        hint: `\`sandboxer destroy ${name}\` ends a sandbox`
      })
    }
    yield* store.requestCancel(id)
  })

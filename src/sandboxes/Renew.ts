import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { Conflict } from "../domain/Errors.js"
import * as Event from "../domain/events/Event.js"
import { expiry, type SandboxId } from "../domain/Sandbox.js"
import { SandboxStore } from "../store/SandboxStore.js"
import { get } from "./Find.js"

/** See `SandboxesShape.renew`. */
export const renew = (id: SandboxId, ttlSeconds: number) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const now = yield* DateTime.now
    const renewed = yield* store.transition(
      id,
      ["ready"],
      { expiresAt: expiry(now, ttlSeconds), ttlSeconds },
      Event.renewed(now, ttlSeconds)
    )
    const sandbox = yield* get(id)
    if (renewed) return sandbox
    return yield* new Conflict({
      reason: "not-ready",
      message: `${sandbox.name} is ${sandbox.state}: its time does not run`,
      hint: "only what is ready can be renewed"
    })
  })

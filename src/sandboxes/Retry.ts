import * as Effect from "effect/Effect"
import { Conflict } from "../domain/Errors.js"
import * as Event from "../domain/events/Event.js"
import { hasEnded, mayRetry, type Sandbox, type SandboxId } from "../domain/Sandbox.js"
import { Supervisors } from "../provisioning/Supervisors.js"
import { Secrets } from "../secrets/Secrets.js"
import { SandboxStore } from "../store/SandboxStore.js"
import { readSecrets, removeIfUnrecorded } from "./AttemptSecrets.js"
import { get } from "./Find.js"
import type { RetryRequest } from "./Request.js"

/** See `SandboxesShape.retry`. */
export const retry = Effect.fn("Sandboxes.retry")(function* (id: SandboxId, request: RetryRequest) {
  const store = yield* SandboxStore
  const secrets = yield* Secrets
  const before = yield* get(id)
  const plan = yield* store.plan(id)
  const attempt = before.attempt + 1
  const refused = (state: Sandbox["state"]) =>
    new Conflict({
      reason: hasEnded(state) ? "ended" : "running",
      message: `${before.name} is ${state}`,
      hint: hasEnded(state)
        ? "only what failed or was cancelled is tried again: create another one"
        : `wait for it: \`sandboxer wait ${before.name}\``
    })
  if (plan === undefined || !mayRetry(before, attempt)) return yield* refused(before.state)
  const values = yield* readSecrets(plan.secrets, request, {})
  const began = yield* secrets.put(id, attempt, values).pipe(
    Effect.zipRight(store.beginAttempt(id, attempt, Event.requestedAgain(attempt, before.logPath))),
    Effect.onError(() => Effect.ignore(removeIfUnrecorded(id, attempt)))
  )
  if (!began) {
    const forget = Effect.ignore(secrets.forget(id, attempt))
    const { state } = yield* Effect.onError(get(id), () => forget)
    // While it is not over, another command may have begun this attempt, which reads the values stored here.
    if (hasEnded(state)) yield* forget
    return yield* refused(state)
  }
  yield* Effect.flatMap(Supervisors, ({ start }) =>
    start(id, { here: plan.jobless && request.detach !== true })
  )
  return yield* get(id)
})

/** Planning and recording a sandbox, and starting its supervisor. */
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Conflict } from "../domain/Errors.js"
import * as Event from "../domain/events/Event.js"
import type { Plan } from "../domain/Plan.js"
import { Sandbox, SandboxId } from "../domain/Sandbox.js"
import { Supervisors } from "../provisioning/Supervisors.js"
import { Secrets } from "../secrets/Secrets.js"
import { SandboxStore, type StoreError } from "../store/SandboxStore.js"
import { readSecrets, removeIfUnrecorded } from "./AttemptSecrets.js"
import { planOf } from "./Planning.js"
import type { CreateRequest } from "./Request.js"

const newId = Effect.map(
  Effect.all(Array.from({ length: 12 }, () => Random.nextIntBetween(0, 16))),
  (digits) => SandboxId.make(digits.map((digit) => digit.toString(16)).join(""))
)

/** Records it under this name; a `Conflict` if a living sandbox has the name. */
const record = (
  plan: Plan,
  id: SandboxId,
  name: string
): Effect.Effect<Sandbox, StoreError | Conflict, SandboxStore> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const now = yield* DateTime.now
    const sandbox = new Sandbox({
      id,
      name,
      profile: plan.profile,
      extension: plan.extension,
      mode: plan.mode,
      state: "requested",
      placement: { host: plan.placement.host },
      inputs: plan.inputs,
      createdAt: now,
      ttlSeconds: plan.ttlSeconds,
      attempt: 1,
      artifacts: []
    })
    yield* store.create(sandbox, plan, Event.requested(plan.profile), Event.planned(plan))
    return sandbox
  })

/** Records it under this name or, where that is taken, under the name with the next free number. */
const recordFree = (
  plan: Plan,
  id: SandboxId,
  name: string
): Effect.Effect<Sandbox, StoreError | Conflict, SandboxStore> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    return yield* record(plan, id, yield* store.freeName(name))
  }).pipe(
    // Another command took the name in the meantime.
    Effect.catchTag("Conflict", () => recordFree(plan, id, name))
  )

/** See `SandboxesShape.create`. */
export const create = Effect.fn("Sandboxes.create")(function* (request: CreateRequest) {
  const store = yield* SandboxStore
  const secrets = yield* Secrets
  const supervisors = yield* Supervisors
  const { defaultName, inputs, plan } = yield* planOf(request)
  const values = yield* readSecrets(plan.secrets, request, inputs)
  const id = yield* newId
  // Nobody else knows of a sandbox whose creation was interrupted: it is cancelled, by its supervisor.
  const undo = (interrupted: boolean) =>
    Effect.gen(function* () {
      const recorded = yield* removeIfUnrecorded(id, 1)
      if (!recorded || !interrupted) return
      yield* store.requestCancel(id)
      yield* supervisors.start(id)
    })
  // The secrets come first: a supervisor that finds the record must find them too.
  return yield* secrets.put(id, 1, values).pipe(
    Effect.zipRight(
      request.name === undefined ? recordFree(plan, id, defaultName) : record(plan, id, request.name)
    ),
    Effect.tap(() => supervisors.start(id, { here: plan.jobless && request.detach !== true })),
    Effect.onError((cause) => Effect.ignore(undo(Cause.isInterrupted(cause))))
  )
})

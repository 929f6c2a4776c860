/** Records a sandbox under a name that no living one has. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { Conflict } from "../domain/Errors.js"
import type { Plan } from "../domain/Plan.js"
import { Sandbox, type SandboxId } from "../domain/Sandbox.js"
import { SandboxStore, type StoreError } from "../store/SandboxStore.js"

const fromTo = ([first, ...more]: ReadonlyArray<string>) =>
  first === undefined ? "" : `, ${[first, ...more.slice(-1)].join(" to ")}`

/** Fails with a `Conflict` where a living one has the name. */
export const record = (
  planned: Plan,
  id: SandboxId,
  name: string
): Effect.Effect<Sandbox, StoreError | Conflict, SandboxStore> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const now = yield* DateTime.now
    const sandbox = new Sandbox({
      id,
      name,
      profile: planned.profile,
      extension: planned.extension,
      mode: planned.mode,
      state: "requested",
      placement: { host: planned.placement.host },
      inputs: planned.inputs,
      createdAt: now,
      ttlSeconds: planned.ttlSeconds,
      attempt: 1,
      artifacts: []
    })
    const { description: steps, mode, phases, placement, profile } = planned
    yield* store.create(
      sandbox,
      planned,
      { identity: "requested", type: "requested", message: `requested from ${profile}`, data: { profile } },
      {
        identity: "planned",
        type: "planned",
        message: `planned: ${mode} on ${placement.host}${fromTo(phases)}`,
        data: { mode, host: placement.host, phases, steps }
      }
    )
    return sandbox
  })

/** With the wanted name, or the next free one with a number behind it; another process may be quicker. */
export const recordFree = (
  planned: Plan,
  id: SandboxId,
  name: string
): Effect.Effect<Sandbox, StoreError | Conflict, SandboxStore> =>
  Effect.gen(function* () {
    const taken = yield* (yield* SandboxStore).takenNames
    const numbered = (number: number) => (number === 1 ? name : `${name}-${number}`)
    let number = 1
    while (taken.has(numbered(number))) number++
    return yield* record(planned, id, numbered(number))
  }).pipe(Effect.catchTag("Conflict", () => recordFree(planned, id, name)))

/** Telling the State Hub what the events say: beside the work, which never waits for it. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { noteOf } from "./domain/Note.js"
import type { Plan } from "./domain/Plan.js"
import { type Lease, SandboxStore, type StoreError } from "./SandboxStore.js"
import type { HubError } from "./StateHub.js"
import { StateHub } from "./StateHub.js"

const every = Duration.seconds(1)
const lastTry = Duration.seconds(5)
const cursorKey = "hub"

/** Publishes the events that the hub was not told of yet; at least once each, in order. */
const publishNew = (
  lease: Lease,
  attempt: number,
  plan: Plan
): Effect.Effect<void, StoreError | HubError, SandboxStore | StateHub> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const hub = yield* StateHub
    const cursor = (yield* store.steps(lease.id, attempt)).find(({ key }) => key === cursorKey)?.result?.value
    const events = yield* store.events(lease.id, typeof cursor === "number" ? cursor : 0)
    const last = events.at(-1)
    const sandbox = yield* store.get(lease.id)
    if (last === undefined || sandbox === undefined) return
    yield* hub.publish(events.map((event) => noteOf(sandbox, plan.hub, event)))
    yield* store.commit(lease, { step: { attempt, key: cursorKey, job: null, result: { value: last.seq } } })
  })

/**
 * Runs `work` and publishes its events meanwhile and once more at its end. A hub that cannot take them is asked
 * again, and changes nothing for the work.
 */
export const withNotes =
  (lease: Lease, attempt: number, plan: Plan) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | SandboxStore | StateHub> => {
    const publish = Effect.ignore(publishNew(lease, attempt, plan))
    return Effect.gen(function* () {
      yield* Effect.forkScoped(Effect.repeat(publish, Schedule.spaced(every)))
      return yield* work
    }).pipe(
      Effect.scoped,
      Effect.onExit(() => Effect.timeoutOption(Effect.interruptible(publish), lastTry))
    )
  }

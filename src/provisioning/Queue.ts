/**
 * The queue: waits for the names, workspaces and folders that one provision at a time may use, then for a slot on the
 * host. The earliest request is first, across processes. A claim is held until the provision ends.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Event from "../domain/events/Event.js"
import { ProvisionError } from "../domain/Failure.js"
import { monotonicSeconds as seconds } from "../domain/Monotonic.js"
import type { Plan } from "../domain/Plan.js"
import type { SandboxId } from "../domain/Sandbox.js"
import { formatDuration } from "../domain/Units.js"
import { Reporter } from "../recipe/Reporter.js"
import { Settings } from "../settings/Settings.js"
import { Timing } from "../settings/Timing.js"
import type { ProcessIdentity } from "../store/ProcessIdentity.js"
import { type Claimant, type Lease, SandboxStore, type StoreError } from "../store/SandboxStore.js"
import { makeMonitor } from "./SupervisorMonitor.js"
import type { Supervisors } from "./Supervisors.js"

/** The services of waiting. A waiting supervisor also restarts dead supervisors ahead of it, hence `Supervisors`. */
export type QueueServices =
  | FileSystem.FileSystem
  | ProcessIdentity
  | Path.Path
  | Reporter
  | SandboxStore
  | Settings
  | Supervisors

interface Resource {
  readonly key: string
  /** For people. */
  readonly what: string
  /** How many may have it at once. */
  readonly capacity: number
  readonly reason: "locked" | "host-full"
}

/** In the order of waiting. It is the same for all plans, so that no two provisions wait for each other. */
const resourcesOf = ({ locks, placement }: Plan): Effect.Effect<ReadonlyArray<Resource>, never, Settings> =>
  Effect.map(Settings, ({ hosts }) => {
    const slots = hosts[placement.host]?.slots
    return [
      ...locks.map(({ key, what }) => ({ key, what, capacity: 1, reason: "locked" as const })),
      ...(slots === undefined
        ? []
        : [
            {
              key: `slot/${placement.host}`,
              what: `a slot on ${placement.host}`,
              capacity: slots,
              reason: "host-full" as const
            }
          ])
    ]
  })

const tookTooLong = ({ reason, what }: Resource, holders: ReadonlyArray<Claimant>, waited: number) =>
  new ProvisionError({
    reason,
    message: `${what} was not free within ${formatDuration(waited)}: ${Event.namesOf(holders)} ${holders.length === 1 ? "holds" : "hold"} it`,
    hint:
      `run \`sandboxer wait ${holders[0]?.name}\` first, or wait longer with --lock-timeout` +
      (reason === "host-full" ? "; the host's `slots` in the configuration set how many run at a time" : "")
  })

/** Waits for every resource of the plan. Returns whether it had to wait. */
export const enter = (
  lease: Lease,
  attempt: number,
  plan: Plan
): Effect.Effect<boolean, StoreError | ProvisionError, QueueServices> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const reporter = yield* Reporter
    const watchOf = yield* makeMonitor
    const { queuePoll } = (yield* Timing).supervision
    const begunAt = yield* seconds
    const watches = new Map<SandboxId, Effect.Effect<void, StoreError>>()
    let waited = false

    const wait = (resource: Resource) =>
      Effect.gen(function* () {
        const { capacity, key } = resource
        yield* store.claim(lease, key, capacity)
        let position = 0
        while (true) {
          const place = yield* store.place(lease.id, key, capacity)
          if (place?.holds === true) return
          if (place === undefined || place.isNext) {
            yield* store.claim(lease, key, capacity)
            continue
          }
          if (!waited) {
            waited = true
            yield* reporter.phase("queue")
          }
          if (place.ahead !== position) {
            position = place.ahead
            yield* store.commit(lease, { events: [Event.queued({ attempt, resource, place })] })
          }
          if ((yield* seconds) - begunAt >= plan.lockTimeoutSeconds) {
            return yield* tookTooLong(resource, place.first, plan.lockTimeoutSeconds)
          }
          yield* Effect.forEach(
            place.first,
            ({ id }) => {
              const watch = watches.get(id) ?? watchOf(id)
              watches.set(id, watch)
              // If no supervisor can be started, the queue stands still until the time limit.
              return Effect.ignore(watch)
            },
            { discard: true }
          )
          yield* Effect.sleep(queuePoll)
        }
      })

    yield* Effect.forEach(yield* resourcesOf(plan), wait, { discard: true })
    return waited
  })

/** The manager: plans, creates, follows and ends sandboxes. Each operation has a file of its own in this folder. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Conflict, NotFound, UsageError } from "../domain/Errors.js"
import type { Event } from "../domain/events/Event.js"
import type { Plan } from "../domain/Plan.js"
import type { Sandbox, SandboxId } from "../domain/Sandbox.js"
import type { HostError, Hosts } from "../hosts/Host.js"
import type { StateHub } from "../hub/client/StateHub.js"
import type { Profiles } from "../profiles/Profiles.js"
import type { Supervisors } from "../provisioning/Supervisors.js"
import type { Extensions, PlanServices } from "../recipe/Extension.js"
import type { Secrets } from "../secrets/Secrets.js"
import type { ProcessIdentity } from "../store/ProcessIdentity.js"
import { type SandboxQuery, SandboxStore, type StoreError } from "../store/SandboxStore.js"
import { cancel } from "./Cancel.js"
import { create } from "./Create.js"
import { type DestroyOptions, destroy } from "./Destroy.js"
import { find, get } from "./Find.js"
import { follow, wait } from "./Follow.js"
import { type LogOptions, log } from "./Log.js"
import { planOf } from "./Planning.js"
import { type Reaped, reap } from "./Reap.js"
import { type OrphanedSecrets, removeOrphanedSecrets } from "./RemoveOrphanedSecrets.js"
import { renew } from "./Renew.js"
import type { CreateRequest, RetryRequest } from "./Request.js"
import { retry } from "./Retry.js"

export type { SandboxField, SandboxQuery } from "../store/SandboxStore.js"
export type { DestroyOptions } from "./Destroy.js"
export type { LogOptions } from "./Log.js"
export type { AskSecret, CreateRequest, RetryRequest } from "./Request.js"

export interface SandboxesShape {
  /** What `create` would do and why. Writes nothing. */
  readonly plan: (request: CreateRequest) => Effect.Effect<Plan, UsageError | NotFound>
  /**
   * Records a sandbox and starts its provision; returns the record without waiting for the provision. If it is
   * interrupted, a sandbox that it has recorded is cancelled.
   */
  readonly create: (
    request: CreateRequest
  ) => Effect.Effect<Sandbox, UsageError | NotFound | Conflict | StoreError>
  /** The sandboxes of a query, all where there is none; the oldest first. */
  readonly list: (query?: SandboxQuery) => Effect.Effect<ReadonlyArray<Sandbox>, StoreError>
  /**
   * The sandbox with this id, unique prefix of an id, or name. A name stands for the living sandbox that has it, else for
   * the newest of those that had it.
   */
  readonly find: (reference: string) => Effect.Effect<Sandbox, StoreError | NotFound | UsageError>
  readonly get: (id: SandboxId) => Effect.Effect<Sandbox, StoreError | NotFound>
  /**
   * The events of a sandbox after number `after` (0: all), as they come, until its provision has ended. A supervisor
   * that has died is restarted meanwhile.
   */
  readonly follow: (id: SandboxId, after: number) => Stream.Stream<Event, StoreError | NotFound>
  /** The events of a sandbox so far, after number `after` (0: all). */
  readonly events: (id: SandboxId, after: number) => Effect.Effect<ReadonlyArray<Event>, StoreError>
  /** The events of all sandboxes after a position; see `SandboxStore.allEvents`. */
  readonly allEvents: (
    after: number
  ) => Effect.Effect<{ readonly events: ReadonlyArray<Event>; readonly position: number }, StoreError>
  /**
   * The redacted log of a sandbox's last attempt, in pieces of any size: what there is so far or, with `follow`, until the
   * provision has ended. Empty before anything was printed; a `NotFound` if the file was removed.
   */
  readonly log: (id: SandboxId, options?: LogOptions) => Stream.Stream<Uint8Array, StoreError | NotFound>
  /** Waits until the provision has ended, and returns the record. A supervisor that has died is restarted meanwhile. */
  readonly wait: (id: SandboxId) => Effect.Effect<Sandbox, StoreError | NotFound>
  /** Asks for the provision to be cancelled, and does not wait; a `Conflict` if it has ended in another way. */
  readonly cancel: (id: SandboxId) => Effect.Effect<void, StoreError | NotFound | Conflict>
  /**
   * Starts another attempt at the same plan for a sandbox that failed or was cancelled. Its secrets are read again.
   * Returns the record without waiting for the provision.
   */
  readonly retry: (
    id: SandboxId,
    request: RetryRequest
  ) => Effect.Effect<Sandbox, UsageError | StoreError | NotFound | Conflict>
  /** Has a sandbox that is ready expire this number of seconds from now; a `Conflict` if it is not ready. */
  readonly renew: (
    id: SandboxId,
    ttlSeconds: number
  ) => Effect.Effect<Sandbox, StoreError | NotFound | Conflict>
  /**
   * Removes what has expired: a sandbox that was ready is destroyed, and its artifacts stay; of one that has failed, was
   * cancelled or destroyed, the record and the logs are removed, unless it still has artifacts. With `dryRun` it only
   * reports them. What cannot be removed is reported with its `problem`, and tried again by the next call.
   */
  readonly reap: (options: { readonly dryRun: boolean }) => Effect.Effect<ReadonlyArray<Reaped>, StoreError>
  /**
   * Removes the secrets of provisions that were never recorded, because the command that stored them was killed before
   * that: those older than a minute. With `dryRun` it only reports them.
   */
  readonly removeOrphanedSecrets: (options: {
    readonly dryRun: boolean
  }) => Effect.Effect<ReadonlyArray<OrphanedSecrets>, StoreError>
  /**
   * Ends a sandbox. Its artifacts stay, and so does the workspace that it shares with other sandboxes of its project,
   * unless `options` say otherwise. A sandbox that is being provisioned is a `Conflict`; with `force` it is cancelled
   * first. With `force`, a machine that cannot be reached is no error: the last event's `left` says what may be left there.
   */
  readonly destroy: (
    id: SandboxId,
    options: DestroyOptions
  ) => Effect.Effect<Sandbox, StoreError | NotFound | Conflict | HostError>
}

/** @category services */
export class Sandboxes extends Context.Tag("sandboxer/Sandboxes")<Sandboxes, SandboxesShape>() {}

/** Services that the operations use. */
type ManagerServices =
  | Extensions
  | Hosts
  | PlanServices
  | ProcessIdentity
  | Profiles
  | SandboxStore
  | Secrets
  | StateHub
  | Supervisors

/** @category layers */
export const layer = Layer.effect(
  Sandboxes,
  Effect.gen(function* () {
    const services = yield* Effect.context<ManagerServices>()
    const { allEvents, events, list } = yield* SandboxStore
    const provided =
      <Args extends ReadonlyArray<unknown>, A, E>(
        operation: (...args: Args) => Effect.Effect<A, E, ManagerServices>
      ) =>
      (...args: Args): Effect.Effect<A, E> =>
        Effect.provide(operation(...args), services)
    return {
      plan: provided((request) => Effect.map(planOf(request), ({ plan }) => plan)),
      create: provided(create),
      list,
      find: provided(find),
      get: provided(get),
      follow: (id, after) => Stream.provideContext(follow(id, after), services),
      events,
      allEvents,
      log: (id, options) => Stream.provideContext(log(id, options), services),
      wait: provided(wait),
      cancel: provided(cancel),
      retry: provided(retry),
      renew: provided(renew),
      reap: provided(reap),
      removeOrphanedSecrets: provided(removeOrphanedSecrets),
      destroy: provided(destroy)
    }
  })
)

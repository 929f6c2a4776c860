/** The store: records of sandboxes, the journal of their recipes, events, leases, the queue and the outbox. */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Conflict } from "../domain/Errors.js"
import type { Event, NewEvent } from "../domain/events/Event.js"
import type { HostPath } from "../domain/HostPath.js"
import type { Delivering, OutboxStatus, RefusedNote, Settlement, WaitingNote } from "../domain/Outbox.js"
import type { Plan } from "../domain/Plan.js"
import type { Sandbox, SandboxChange, SandboxId } from "../domain/Sandbox.js"
import type { StopSignal } from "../hosts/Host.js"
import type { LeaseStorage } from "./Lease.js"

/**
 * `lease-lost`: another supervisor took the provision over; nothing was written.
 * @category errors
 */
export class StoreError extends Schema.TaggedError<StoreError>("sandboxer/StoreError")("StoreError", {
  reason: Schema.Literal("lease-lost", "not-writable", "newer", "damaged", "busy", "other"),
  message: Schema.String,
  hint: Schema.String
}) {}

/** The error for a name that a living sandbox has. */
export const nameTaken = (name: string | undefined, by: string): Conflict =>
  new Conflict({
    reason: "name-taken",
    message: `the name ${name} is taken by sandbox ${by}`,
    hint: `give another --name, or \`sandboxer destroy ${name}\` first`
  })

/** The right to write for a sandbox: valid while `term` is the newest. */
export interface Lease {
  readonly id: SandboxId
  readonly term: number
}

/** A step of a recipe. A Job has its folder; `result` is null until the result is journaled. */
export interface Step {
  readonly attempt: number
  readonly key: string
  readonly job: { readonly folder: HostPath; readonly stop: StopSignal } | null
  readonly result: { readonly value: unknown } | null
}

/** The redacted log: its length in bytes, and for each Job the offset in its raw output up to which the log has it. */
export interface LogPosition {
  /** The attempt that it belongs to; default: the first. */
  readonly attempt?: number | undefined
  readonly path: string
  readonly length: number
  readonly offsets: Readonly<Record<string, number>>
  /** The logs of earlier attempts. */
  readonly earlier?: ReadonlyArray<string> | undefined
}

/** A sandbox in the queue for a resource. */
export interface Claimant {
  readonly id: SandboxId
  readonly name: string
}

/** A sandbox's position in the queue for a resource: holders come first, then the waiting ones. */
export interface Place {
  readonly holds: boolean
  /** Whether it is its turn: the resource has room, and no earlier request waits. */
  readonly isNext: boolean
  /** The number of sandboxes ahead of it. */
  readonly ahead: number
  /** The first of those ahead of it, up to the capacity. */
  readonly first: ReadonlyArray<Claimant>
}

/** Fields by which sandboxes can be filtered. */
export type SandboxField = "id" | "name" | "profile" | "extension" | "mode" | "state" | "host"

/** Selects sandboxes: all given conditions must hold. */
export interface SandboxQuery {
  /** Living sandboxes, which hold their name: requested, provisioning, ready or destroying. */
  readonly living?: boolean
  readonly states?: ReadonlyArray<Sandbox["state"]>
  readonly where?: ReadonlyArray<readonly [field: SandboxField, value: string]>
  readonly withArtifacts?: boolean
  /** Sandboxes that are being destroyed, and those whose provision has ended and that expired by this time. */
  readonly due?: DateTime.Utc
}

/** What one transaction writes. Events describe the state that is written with them. */
export interface Commit {
  readonly change?: SandboxChange
  readonly events?: ReadonlyArray<NewEvent>
  readonly step?: Step
  readonly log?: LogPosition
  /** Gives the lease back, because nothing is left to do under it. */
  readonly release?: true
}

export interface SandboxStoreShape {
  /** Records a new sandbox, its plan and its first events; a taken name is a `Conflict`. */
  readonly create: (
    sandbox: Sandbox,
    plan: Plan,
    ...events: ReadonlyArray<NewEvent>
  ) => Effect.Effect<void, StoreError | Conflict>
  readonly get: (id: SandboxId) => Effect.Effect<Sandbox | undefined, StoreError>
  readonly plan: (id: SandboxId) => Effect.Effect<Plan | undefined, StoreError>
  /** The sandboxes that match the query (without one: all), the oldest first. Only these are decoded. */
  readonly list: (query?: SandboxQuery) => Effect.Effect<ReadonlyArray<Sandbox>, StoreError>
  /** The number of records. */
  readonly count: Effect.Effect<number, StoreError>
  /** The living sandbox with this name, else the newest dead one that had it. */
  readonly named: (name: string) => Effect.Effect<Sandbox | undefined, StoreError>
  /** The ids with this prefix, the newest first. */
  readonly idsWith: (prefix: string) => Effect.Effect<ReadonlyArray<SandboxId>, StoreError>
  /** The names of at most this many sandboxes, the newest first. */
  readonly names: (newest: number) => Effect.Effect<ReadonlySet<string>, StoreError>
  /** The first of NAME, NAME-2, NAME-3, … that no living sandbox has. */
  readonly freeName: (name: string) => Effect.Effect<string, StoreError>

  /** A sandbox's events after number `after` (0: all), in order. */
  readonly events: (id: SandboxId, after: number) => Effect.Effect<ReadonlyArray<Event>, StoreError>
  /** The identities of its events (`Event.identityOf`). */
  readonly identities: (id: SandboxId) => Effect.Effect<ReadonlySet<string>, StoreError>
  /** The events of all sandboxes after a position (0: all), in the order of their recording, with the new position. */
  readonly allEvents: (
    after: number
  ) => Effect.Effect<{ readonly events: ReadonlyArray<Event>; readonly position: number }, StoreError>

  /** Requests a cancel and records its event. A second request changes nothing. */
  readonly requestCancel: (id: SandboxId) => Effect.Effect<void, StoreError>
  readonly cancelRequested: (id: SandboxId) => Effect.Effect<boolean, StoreError>

  /** The lease of a sandbox's supervisor. */
  readonly lease: (id: SandboxId) => LeaseStorage<StoreError>
  /** Writes under a lease: everything or nothing, and nothing if the lease was lost. */
  readonly commit: (lease: Lease, commit: Commit) => Effect.Effect<void, StoreError>
  /**
   * Changes a sandbox that is not being provisioned from one of the states `from`. False, and nothing is written, if it is in
   * another state or `when` is false for it.
   */
  readonly transition: (
    id: SandboxId,
    from: ReadonlyArray<Sandbox["state"]>,
    change: SandboxChange,
    event: NewEvent,
    when?: (sandbox: Sandbox) => boolean
  ) => Effect.Effect<boolean, StoreError>
  /**
   * Starts this attempt, the one after the last, of a failed or cancelled sandbox. False if it is in another state or has
   * already started. A name that is taken by now is a `Conflict`.
   */
  readonly beginAttempt: (
    id: SandboxId,
    attempt: number,
    event: NewEvent
  ) => Effect.Effect<boolean, StoreError | Conflict>
  /**
   * Removes a sandbox with its events, steps and waiting notes. False if it does not exist or `when` is false for it; `waits`
   * says whether notes of it wait.
   */
  readonly forget: (
    id: SandboxId,
    when: (sandbox: Sandbox, waits: boolean) => boolean
  ) => Effect.Effect<boolean, StoreError>
  /**
   * Adds a claim on a resource under a lease, if there is none yet, and takes the resource if it is the sandbox's turn: fewer
   * than `capacity` hold it. The transaction that ends the provision removes the claim.
   */
  readonly claim: (lease: Lease, resource: string, capacity: number) => Effect.Effect<void, StoreError>
  /** A sandbox's position in the queue for a resource; `undefined` if it has no claim. */
  readonly place: (
    id: SandboxId,
    resource: string,
    capacity: number
  ) => Effect.Effect<Place | undefined, StoreError>
  readonly steps: (id: SandboxId, attempt: number) => Effect.Effect<ReadonlyArray<Step>, StoreError>
  readonly log: (id: SandboxId) => Effect.Effect<LogPosition | undefined, StoreError>

  readonly outbox: OutboxShape
}

/** The outbox: notes for a State Hub. A note is written in the transaction of its event, if the sandbox's plan asks for it. */
export interface OutboxShape {
  /** Whether a note waits, and how the last delivery ended; cheap. */
  readonly peek: Effect.Effect<{ readonly waits: boolean; readonly delivering: Delivering }, StoreError>
  readonly status: Effect.Effect<OutboxStatus, StoreError>
  /** The first waiting notes, in the order in which they were written. */
  readonly waiting: (most: number) => Effect.Effect<ReadonlyArray<WaitingNote>, StoreError>
  /** Whether a note of a sandbox waits. */
  readonly isUnsent: (id: SandboxId) => Effect.Effect<boolean, StoreError>
  /** The notes that the hub rejected, the oldest first. */
  readonly refused: Effect.Effect<ReadonlyArray<RefusedNote>, StoreError>
  /** The lease of the process that sends notes. */
  readonly lease: LeaseStorage<StoreError>
  /** Records the outcome of sending. False, and nothing is written, if `term` is not the newest of the lease. */
  readonly settle: (term: number, settlement: Settlement) => Effect.Effect<boolean, StoreError>
  /** Lets rejected notes wait again: those with these ids, or all if none are given. Returns their number. */
  readonly retry: (ids: ReadonlyArray<string>) => Effect.Effect<number, StoreError>
}

/** @category services */
export class SandboxStore extends Context.Tag("sandboxer/SandboxStore")<SandboxStore, SandboxStoreShape>() {}

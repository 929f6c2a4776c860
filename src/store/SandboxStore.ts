/** What is kept of sandboxes: records, the journal of their recipes, events, and who supervises them. */
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

/** What a living sandbox has, no other can be called. */
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

/** A step of a recipe; a job has its folder, and `result` is null until it was journaled. */
export interface Step {
  readonly attempt: number
  readonly key: string
  readonly job: { readonly folder: HostPath; readonly stop: StopSignal } | null
  readonly result: { readonly value: unknown } | null
}

/** The redacted log: its length in bytes, and for each job the offset in its raw output that the log has come to. */
export interface LogPosition {
  /** The attempt that it is of; the first where it is left out. */
  readonly attempt?: number | undefined
  readonly path: string
  readonly length: number
  readonly offsets: Readonly<Record<string, number>>
  /** Logs of the attempts before. */
  readonly earlier?: ReadonlyArray<string> | undefined
}

/** A sandbox in the line for a resource. */
export interface Claimant {
  readonly id: SandboxId
  readonly name: string
}

/** Where a sandbox stands in the line for a resource: those who hold it come first, then those who wait. */
export interface Place {
  readonly holds: boolean
  /** Whether it is its turn: fewer than the capacity hold the resource, and nobody waits before it. */
  readonly isNext: boolean
  /** How many are before it. */
  readonly ahead: number
  /** The first of those before it, as many as the capacity. */
  readonly first: ReadonlyArray<Claimant>
}

/** Fields by which sandboxes can be filtered. */
export type SandboxField = "id" | "name" | "profile" | "extension" | "mode" | "state" | "host"

/** Which sandboxes are meant: those of which everything holds that is given. */
export interface SandboxQuery {
  /** Those that hold their name: requested, provisioning, ready or destroying. */
  readonly living?: boolean
  readonly states?: ReadonlyArray<Sandbox["state"]>
  readonly where?: ReadonlyArray<readonly [field: SandboxField, value: string]>
  readonly withArtifacts?: boolean
  /** Those that are being destroyed, and those whose provision has ended and that expired by this time. */
  readonly due?: DateTime.Utc
}

/** What is written in one transaction; events speak of the state that is written with them. */
export interface Commit {
  readonly change?: SandboxChange
  readonly events?: ReadonlyArray<NewEvent>
  readonly step?: Step
  readonly log?: LogPosition
  /** Gives the lease back: there is nothing left to do under it. */
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
  /** The sandboxes of a query, all where there is none; the oldest first. Only those are decoded. */
  readonly list: (query?: SandboxQuery) => Effect.Effect<ReadonlyArray<Sandbox>, StoreError>
  /** The number of records. */
  readonly count: Effect.Effect<number, StoreError>
  /** The living sandbox with this name, else the newest of those that had it. */
  readonly named: (name: string) => Effect.Effect<Sandbox | undefined, StoreError>
  /** The ids with this prefix, the newest first. */
  readonly idsWith: (prefix: string) => Effect.Effect<ReadonlyArray<SandboxId>, StoreError>
  /** Names of the newest sandboxes, of this many at most; the newest first. */
  readonly names: (newest: number) => Effect.Effect<ReadonlySet<string>, StoreError>
  /** The first of NAME, NAME-2, NAME-3, … that no living sandbox has. */
  readonly freeName: (name: string) => Effect.Effect<string, StoreError>

  /** A sandbox's events behind `after` (0: all), in order. */
  readonly events: (id: SandboxId, after: number) => Effect.Effect<ReadonlyArray<Event>, StoreError>
  /** The identities of its events (`Event.identityOf`). */
  readonly identities: (id: SandboxId) => Effect.Effect<ReadonlySet<string>, StoreError>
  /** Events of all sandboxes behind a position (0: all), in the order they were written, with the new position. */
  readonly allEvents: (
    after: number
  ) => Effect.Effect<{ readonly events: ReadonlyArray<Event>; readonly position: number }, StoreError>

  /** The first one to ask leaves its event; asking again changes nothing. */
  readonly requestCancel: (id: SandboxId) => Effect.Effect<void, StoreError>
  readonly cancelRequested: (id: SandboxId) => Effect.Effect<boolean, StoreError>

  /** The lease of a sandbox's supervisor. */
  readonly lease: (id: SandboxId) => LeaseStorage<StoreError>
  /** Writes under a lease: all or nothing, and nothing when the lease was lost. */
  readonly commit: (lease: Lease, commit: Commit) => Effect.Effect<void, StoreError>
  /**
   * Writes for a sandbox that is not being provisioned, from one state to another; false where it was in none, or
   * `when` is false of it.
   */
  readonly transition: (
    id: SandboxId,
    from: ReadonlyArray<Sandbox["state"]>,
    change: SandboxChange,
    event: NewEvent,
    when?: (sandbox: Sandbox) => boolean
  ) => Effect.Effect<boolean, StoreError>
  /**
   * Has what failed or was cancelled begin anew, as this attempt, the one behind its last; false where it did not, or
   * has begun already. A name that is taken by now is a `Conflict`.
   */
  readonly beginAttempt: (
    id: SandboxId,
    attempt: number,
    event: NewEvent
  ) => Effect.Effect<boolean, StoreError | Conflict>
  /**
   * Forgets a sandbox, its events and all, also notes of it that wait to be told; false where it is not there, or `when`
   * is false of it: `waits` says whether such notes are there.
   */
  readonly forget: (
    id: SandboxId,
    when: (sandbox: Sandbox, waits: boolean) => boolean
  ) => Effect.Effect<boolean, StoreError>
  /**
   * Takes a place in the line for a resource, under a lease, if it has none there, and the resource where it is its turn:
   * fewer than `capacity` hold it. The end of its provision gives it up.
   */
  readonly claim: (lease: Lease, resource: string, capacity: number) => Effect.Effect<void, StoreError>
  /** A sandbox's place in the line for a resource; `undefined` where it has none. */
  readonly place: (
    id: SandboxId,
    resource: string,
    capacity: number
  ) => Effect.Effect<Place | undefined, StoreError>
  readonly steps: (id: SandboxId, attempt: number) => Effect.Effect<ReadonlyArray<Step>, StoreError>
  readonly log: (id: SandboxId) => Effect.Effect<LogPosition | undefined, StoreError>

  readonly outbox: OutboxShape
}

/** Notes for a State Hub: written with the events that they tell of, where the sandbox's plan wants them told. */
export interface OutboxShape {
  /** Whether a note waits, and how the last delivery ended; cheap. */
  readonly peek: Effect.Effect<{ readonly waits: boolean; readonly delivering: Delivering }, StoreError>
  readonly status: Effect.Effect<OutboxStatus, StoreError>
  /** The first of those that wait, in the order in which they were written. */
  readonly waiting: (most: number) => Effect.Effect<ReadonlyArray<WaitingNote>, StoreError>
  /** Whether a note of a sandbox waits. */
  readonly isUnsent: (id: SandboxId) => Effect.Effect<boolean, StoreError>
  /** The notes that the hub rejected, the oldest first. */
  readonly refused: Effect.Effect<ReadonlyArray<RefusedNote>, StoreError>
  /** The lease of the process that sends notes. */
  readonly lease: LeaseStorage<StoreError>
  /** Writes how sending notes ended. False, and nothing is written, where `term` is not the newest of the lease. */
  readonly settle: (term: number, settlement: Settlement) => Effect.Effect<boolean, StoreError>
  /** Lets rejected notes wait again: those with these ids, or all where none are given. Gives their number. */
  readonly retry: (ids: ReadonlyArray<string>) => Effect.Effect<number, StoreError>
}

/** @category services */
export class SandboxStore extends Context.Tag("sandboxer/SandboxStore")<SandboxStore, SandboxStoreShape>() {}

/**
 * What happened to a sandbox: a union of the kinds of events, tagged by `type`. The modules beside this one have the
 * schema of each kind and the functions that make its events; this one has them all, for
 * `import * as Event from ".../domain/events/Event.js"`.
 */
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import type { SandboxId } from "../Sandbox.js"
import * as ArtifactMade from "./ArtifactMade.js"
import * as End from "./End.js"
import * as Lifetime from "./Lifetime.js"
import * as Notes from "./Notes.js"
import { Other } from "./Other.js"
import * as Progress from "./Progress.js"
import * as Request from "./Request.js"
import * as Supervision from "./Supervision.js"

export { artifactMade } from "./ArtifactMade.js"
export { cancelled, cancelling, failed, type Proof, ready, retrying } from "./End.js"
export type { Details, Json } from "./Kind.js"
export { destroyed, destroying, expired, renewed, renewedByUse } from "./Lifetime.js"
export { artifactsDeleted, leftOut, note, receiptWritten, warning } from "./Notes.js"
export { heartbeat, phaseEntered } from "./Progress.js"
export { planned, requested, requestedAgain } from "./Request.js"
export { namesOf, provisioning, queued, takenOver } from "./Supervision.js"

/**
 * One thing that happened to a sandbox. Phases that Packer reported have Packer's own time, in whole seconds.
 * @category model
 */
export const Event = Schema.Union(
  Request.Requested,
  Request.Planned,
  Supervision.Queued,
  Supervision.Provisioning,
  Supervision.TakenOver,
  Progress.PhaseEntered,
  Progress.Heartbeat,
  Notes.Note,
  Notes.Warning,
  ArtifactMade.ArtifactMade,
  End.Ready,
  End.Failed,
  End.Retrying,
  End.Cancelling,
  End.Cancelled,
  Lifetime.Renewed,
  Lifetime.Expired,
  Lifetime.Destroying,
  Lifetime.Destroyed,
  // Last: it takes what none of the others can.
  Other
).annotations({
  // A newer version may have added fields: they are shown, too.
  parseOptions: { onExcessProperty: "preserve" }
})
export type Event = typeof Event.Type
export type EventType = Event["type"]

/** An event that the store has not numbered yet. */
export type NewEvent =
  | Request.NewRequested
  | Request.NewPlanned
  | Supervision.NewQueued
  | Supervision.NewProvisioning
  | Supervision.NewTakenOver
  | Progress.NewPhaseEntered
  | Progress.NewHeartbeat
  | Notes.NewNote
  | Notes.NewWarning
  | ArtifactMade.NewArtifactMade
  | End.NewReady
  | End.NewFailed
  | End.NewRetrying
  | End.NewCancelling
  | End.NewCancelled
  | Lifetime.NewRenewed
  | Lifetime.NewExpired
  | Lifetime.NewDestroying
  | Lifetime.NewDestroyed

/** The type of an event as JSON and the database have it. */
export const typeOf = (event: Event): string => (event.type === "other" ? event.storedType : event.type)

/**
 * What distinguishes an event from all others of its sandbox. A supervisor that takes over may report again what the one
 * before it reported: the store keeps one event for each identity. Databases have these texts: they must not change.
 */
export const identityOf = (event: NewEvent): string => {
  switch (event.type) {
    case "planned":
    case "expired":
    case "destroying":
    case "destroyed":
      return event.type
    case "requested":
      return event.occurrence.attempt === 1 ? "requested" : `${event.occurrence.attempt}/requested`
    case "provisioning":
      return `${event.occurrence.attempt}/provisioning`
    case "taken-over":
      return `${event.occurrence.attempt}/taken-over/${event.occurrence.term}`
    case "queued":
      return `${event.occurrence.attempt}/queued/${event.occurrence.resource}/${event.data.position}`
    case "phase":
      return `${event.occurrence.attempt}/phase/${event.data.build ?? ""}/${event.phase}`
    case "heartbeat": {
      const { at, attempt, term } = event.occurrence
      return `${attempt}/heartbeat/${term}/${at}`
    }
    case "note":
    case "warning":
      switch (event.occurrence.by) {
        case "recipe":
          return `${event.occurrence.attempt}/${event.type}/${event.occurrence.key}`
        case "budget":
          return `${event.occurrence.attempt}/left-out/${event.occurrence.term}/${event.occurrence.at}`
        case "receipt":
          return `${event.occurrence.attempt}/receipt`
        case "destroy":
          return "artifacts-deleted"
      }
      break
    case "artifact":
      return `${event.occurrence.attempt}/artifact/${event.data.name}`
    case "ready":
    case "failed":
    case "retrying":
    case "cancelled":
      return `${event.occurrence.attempt}/end`
    case "cancelling":
      return `cancelling/${event.occurrence.attempt}`
    case "renewed": {
      const at = DateTime.formatIso(event.occurrence.at)
      return event.occurrence.by === "user" ? `renewed/${at}` : `used/${at.slice(0, "2000-01-01T00".length)}`
    }
  }
}

/** The event with its number; `now` is its time if it has none. */
export const numbered = (sandboxId: SandboxId, seq: number, event: NewEvent, now: DateTime.Utc): Event => {
  const { occurrence: _, time, ...fields } = event
  return {
    id: `${sandboxId}-${seq}`,
    sandboxId,
    seq,
    time: time === undefined ? now : DateTime.unsafeMake(time),
    percent: null,
    etaSeconds: null,
    ...fields
  }
}

import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { PhaseName } from "./Phase.js"
import { SandboxId } from "./Sandbox.js"

/** @category model */
export const EventType = Schema.Literal(
  "requested",
  "planned",
  "queued",
  "provisioning",
  "taken-over",
  "phase",
  "note",
  "warning",
  "heartbeat",
  "artifact",
  "ready",
  "failed",
  "retrying",
  "cancelling",
  "cancelled",
  "renewed",
  "expired",
  "destroying",
  "destroyed"
)
export type EventType = typeof EventType.Type

/**
 * One thing that happened to a sandbox; `seq` counts from 1 within the sandbox, without a gap. Times of what Packer
 * reported are Packer's own (whole seconds).
 * @category model
 */
export class ProgressEvent extends Schema.Class<ProgressEvent>("sandboxer/ProgressEvent")({
  id: Schema.String,
  sandboxId: SandboxId,
  seq: Schema.Int,
  time: Schema.DateTimeUtc,
  type: EventType,
  phase: Schema.NullOr(PhaseName),
  message: Schema.String,
  percent: Schema.NullOr(Schema.Number),
  etaSeconds: Schema.NullOr(Schema.Number),
  data: Schema.Record({ key: Schema.String, value: Schema.Unknown })
}) {}

/**
 * An event before it has its number. `identity` is the same each time the same thing is read again, so that it is
 * kept once.
 */
export interface NewEvent {
  readonly identity: string
  readonly type: EventType
  readonly message: string
  readonly phase?: PhaseName | null
  /** Epoch milliseconds; now where it is left out. */
  readonly time?: number
  readonly data?: Readonly<Record<string, unknown>>
}

/** The event with its number; `now` is its time where it brings none. */
export const numbered = (
  sandboxId: SandboxId,
  seq: number,
  event: NewEvent,
  now: DateTime.Utc
): ProgressEvent =>
  new ProgressEvent({
    id: `${sandboxId}-${seq}`,
    sandboxId,
    seq,
    time: event.time === undefined ? now : DateTime.unsafeMake(event.time),
    type: event.type,
    phase: event.phase ?? null,
    message: event.message,
    percent: null,
    etaSeconds: null,
    data: event.data ?? {}
  })

import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import type { Plan } from "./Plan.js"
import type { ProgressEvent } from "./ProgressEvent.js"
import type { Sandbox } from "./Sandbox.js"

/**
 * What a State Hub is told: the body of `POST /progress`. Names are the contract's.
 * @category model
 */
export const Note = Schema.Struct({
  id: Schema.String,
  occurred_at: Schema.String,
  source: Schema.Literal("sandboxer"),
  event_type: Schema.String,
  summary: Schema.String,
  workstream_id: Schema.NullOr(Schema.String),
  task_id: Schema.NullOr(Schema.String),
  sandbox_id: Schema.String,
  sequence: Schema.Int,
  phase: Schema.NullOr(Schema.String),
  percent: Schema.NullOr(Schema.Number),
  eta_seconds: Schema.NullOr(Schema.Number),
  author: Schema.String,
  detail: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})
export type Note = typeof Note.Type

/** The note that tells of an event. */
export const noteOf = (sandbox: Sandbox, hub: Plan["hub"], event: ProgressEvent): Note => ({
  id: event.id,
  occurred_at: DateTime.formatIso(event.time),
  source: "sandboxer",
  event_type: event.type,
  summary: `${sandbox.name} · ${event.message}`,
  workstream_id: hub.workstream,
  task_id: hub.task,
  sandbox_id: event.sandboxId,
  sequence: event.seq,
  phase: event.phase,
  percent: event.percent,
  eta_seconds: event.etaSeconds,
  author: "sandboxer",
  detail: event.data
})

import * as Schema from "effect/Schema"
import { PhaseName } from "./Phase.js"
import { Placement } from "./Placement.js"

/** Something that one provision at a time may use. `key` identifies it, `what` names it for people. */
export const Lock = Schema.Struct({ key: Schema.String, what: Schema.String })
export type Lock = typeof Lock.Type

/**
 * Everything that a supervisor needs to provision a sandbox, resolved. It is kept with the record, so that a supervisor
 * needs neither the profile nor the command that created the sandbox. `spec` is the plan of the mode, encoded. Of secrets
 * it has the sources, never the values.
 * @category model
 */
export class Plan extends Schema.Class<Plan>("sandboxer/Plan")({
  profile: Schema.String,
  extension: Schema.String,
  mode: Schema.String,
  name: Schema.NullOr(Schema.String),
  placement: Placement,
  /** Whether it starts no Job: then `create` itself supervises it. Databases have this field as `quick`. */
  jobless: Schema.optionalWith(Schema.Boolean, { default: () => false }).pipe(Schema.fromKey("quick")),
  /** The locks that it holds while it is provisioned, in the order in which it waits for them. */
  locks: Schema.optionalWith(Schema.Array(Lock), { default: () => [] }),
  inputs: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  secrets: Schema.Record({ key: Schema.String, value: Schema.String }),
  ttlSeconds: Schema.NullOr(Schema.Number),
  timeoutSeconds: Schema.NullOr(Schema.Number),
  /** How long it may wait for locks and for a slot. */
  lockTimeoutSeconds: Schema.optionalWith(Schema.Number, { default: () => 600 }),
  heartbeatSeconds: Schema.Number,
  stallSeconds: Schema.NullOr(Schema.Number),
  /** Whether `stallSeconds` without output fail the provision; otherwise they cause a warning. */
  stallCancels: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  /** The longest time that each phase may take, in seconds; a phase that is not listed has no limit. */
  phaseTimeouts: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.Number }), {
    default: () => ({})
  }),
  /** When a failed attempt is retried; null: never. */
  retry: Schema.optionalWith(
    Schema.NullOr(
      Schema.Struct({
        times: Schema.Int,
        on: Schema.Array(Schema.String),
        backoffSeconds: Schema.Number
      })
    ),
    { default: () => null }
  ),
  hub: Schema.Struct({
    workstream: Schema.NullOr(Schema.String),
    task: Schema.NullOr(Schema.String),
    /** Which events become notes; `none` if no hub was configured when the sandbox was created. */
    notes: Schema.optionalWith(Schema.Literal("phases", "all", "failures", "none"), {
      default: () => "none"
    }),
    /** The shortest time between two heartbeat notes. */
    everySeconds: Schema.optionalWith(Schema.Number, { default: () => 60 })
  }),
  /** The steps of the recipe, a sentence each. */
  description: Schema.Array(Schema.String),
  /** The phases that it will go through, in order, as far as the plan can tell. */
  phases: Schema.optionalWith(Schema.Array(PhaseName), { default: () => [] }),
  spec: Schema.Unknown
}) {}

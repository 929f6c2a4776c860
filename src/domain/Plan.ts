import * as Schema from "effect/Schema"
import { PhaseName } from "./Phase.js"
import { Placement } from "./Placement.js"

/** Something that one provision at a time may use: `key` tells it from others, `what` names it for people. */
export const Lock = Schema.Struct({ key: Schema.String, what: Schema.String })
export type Lock = typeof Lock.Type

/**
 * What a sandbox is provisioned from, resolved: kept with its record, so that whoever supervises it needs neither the
 * profile nor the one who asked. `spec` is the mode's own plan, encoded. Of secrets only the sources are here.
 * @category model
 */
export class Plan extends Schema.Class<Plan>("sandboxer/Plan")({
  profile: Schema.String,
  extension: Schema.String,
  mode: Schema.String,
  name: Schema.NullOr(Schema.String),
  placement: Placement,
  /** Whether it starts no Job: whoever creates it carries it through. */
  jobless: Schema.optionalWith(Schema.Boolean, { default: () => false }).pipe(Schema.fromKey("quick")),
  /** What it has for itself while it is provisioned, in the order in which it waits for them. */
  locks: Schema.optionalWith(Schema.Array(Lock), { default: () => [] }),
  inputs: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  secrets: Schema.Record({ key: Schema.String, value: Schema.String }),
  ttlSeconds: Schema.NullOr(Schema.Number),
  timeoutSeconds: Schema.NullOr(Schema.Number),
  /** How long it may wait for its turn. */
  lockTimeoutSeconds: Schema.optionalWith(Schema.Number, { default: () => 600 }),
  heartbeatSeconds: Schema.Number,
  stallSeconds: Schema.NullOr(Schema.Number),
  /** Whether what prints nothing for so long is ended; else there is a warning. */
  stallCancels: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  /** How long each phase may take, in seconds. */
  phaseTimeouts: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.Number }), {
    default: () => ({})
  }),
  /** When what failed is tried again; null: never. */
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
    /** What a State Hub is told of; `none` where there was no hub when the sandbox was created. */
    notes: Schema.optionalWith(Schema.Literal("phases", "all", "failures", "none"), {
      default: () => "none"
    }),
    /** Heartbeats are told once in so many seconds at most. */
    everySeconds: Schema.optionalWith(Schema.Number, { default: () => 60 })
  }),
  description: Schema.Array(Schema.String),
  /** The phases that it goes through, in their order, as far as they are known. */
  phases: Schema.optionalWith(Schema.Array(PhaseName), { default: () => [] }),
  spec: Schema.Unknown
}) {}

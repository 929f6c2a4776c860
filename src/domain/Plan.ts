import * as Schema from "effect/Schema"

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
  placement: Schema.Struct({ host: Schema.String }),
  inputs: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  secrets: Schema.Record({ key: Schema.String, value: Schema.String }),
  ttlSeconds: Schema.NullOr(Schema.Number),
  timeoutSeconds: Schema.NullOr(Schema.Number),
  heartbeatSeconds: Schema.Number,
  stallSeconds: Schema.NullOr(Schema.Number),
  hub: Schema.Struct({ workstream: Schema.NullOr(Schema.String), task: Schema.NullOr(Schema.String) }),
  description: Schema.Array(Schema.String),
  spec: Schema.Unknown
}) {}

import * as Schema from "effect/Schema"

/** How a machine is reached over SSH; what is null is left to OpenSSH's own configuration. */
export const Connection = Schema.Struct({
  /** A name or address, or an alias of OpenSSH's configuration. */
  host: Schema.String,
  port: Schema.NullOr(Schema.Int),
  user: Schema.NullOr(Schema.String),
  /** A local path. */
  identityFile: Schema.NullOr(Schema.String)
})
export type Connection = typeof Connection.Type

/**
 * Which machine a sandbox is provisioned on: `local`, a host of the configuration, or with `connection` any other one.
 * @category model
 */
export const Placement = Schema.Struct({ host: Schema.String, connection: Schema.optional(Connection) })
export type Placement = typeof Placement.Type

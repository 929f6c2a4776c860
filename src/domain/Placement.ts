import * as Schema from "effect/Schema"

/** How to reach a machine over SSH. OpenSSH's own configuration decides about fields that are null. */
export const Connection = Schema.Struct({
  /** A name, an address, or an alias from OpenSSH's configuration. */
  host: Schema.String,
  port: Schema.NullOr(Schema.Int),
  user: Schema.NullOr(Schema.String),
  /** A local path. */
  identityFile: Schema.NullOr(Schema.String)
})
export type Connection = typeof Connection.Type

/**
 * The machine that a sandbox is provisioned on: `local`, a host of the configuration, or any other with `connection`.
 * @category model
 */
export const Placement = Schema.Struct({ host: Schema.String, connection: Schema.optional(Connection) })
export type Placement = typeof Placement.Type

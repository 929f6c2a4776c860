/** A State Hub in this program: serves the API of HubApi.ts from a HubStore. */
import * as Context from "effect/Context"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/** Where it listens, and who may use it. */
export interface HubServerOptions {
  /** An address of this machine, or a host name for one. */
  readonly host: string
  /** 0 means any free port. */
  readonly port: number
  /** Clients must send it. Only a hub on loopback may do without. */
  readonly token: Redacted.Redacted | undefined
}

/**
 * - `token`: other machines can reach the hub and there is no token, or the token does not fit into a header
 * - `address`: this machine has no such address, or does not allow listening on it
 * - `port-taken`: another program listens there
 * @category errors
 */
export class HubServerError extends Schema.TaggedError<HubServerError>("sandboxer/HubServerError")(
  "HubServerError",
  {
    reason: Schema.Literal("token", "address", "port-taken"),
    message: Schema.String,
    hint: Schema.String
  }
) {}

/** @category services */
export class HubServer extends Context.Tag("sandboxer/HubServer")<
  HubServer,
  {
    /** The URL for the clients' STATE_HUB_URL. */
    readonly url: string
  }
>() {}

/** A State Hub that this program is: it serves what HubApi.ts says from a HubStore. */
import * as Context from "effect/Context"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/** Where it listens, and who may ask. */
export interface HubServerOptions {
  /** An address of this machine, or its name. */
  readonly host: string
  /** 0 for any that is free. */
  readonly port: number
  /** Who asks has to have it; to do without is for loopback alone. */
  readonly token: Redacted.Redacted | undefined
}

/**
 * - `token`: others can reach it and there is no token, or it is none that fits into a header
 * - `address`: this machine has no such address, or does not let us have it
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
    /** What clients set STATE_HUB_URL to. */
    readonly url: string
  }
>() {}

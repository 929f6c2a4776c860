/** Events of a sandbox after its provision: its expiry, and its end. */
import type * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { formatDuration } from "../Units.js"
import { kind, type New, NoData } from "./Kind.js"

/** The sandbox expires later, or sooner, than before: someone asked for it, or used the sandbox. */
export const Renewed = kind("renewed", NoData)
export type NewRenewed = New<typeof Renewed, { readonly by: "user" | "use"; readonly at: DateTime.Utc }>

export const renewed = (at: DateTime.Utc, ttlSeconds: number): NewRenewed => ({
  type: "renewed",
  phase: null,
  message: `it expires in ${formatDuration(ttlSeconds)}`,
  data: {},
  occurrence: { by: "user", at }
})

/** The store keeps one of these an hour. */
export const renewedByUse = (at: DateTime.Utc): NewRenewed => ({
  type: "renewed",
  phase: null,
  message: "it is in use: its time to live starts again",
  data: {},
  occurrence: { by: "use", at }
})

/** The sandbox reached its expiry, and `reap` removes it. */
export const Expired = kind("expired", NoData)
export type NewExpired = New<typeof Expired>

export const expired: NewExpired = {
  type: "expired",
  phase: null,
  message: "it expired",
  data: {},
  occurrence: null
}

/** `destroy` started to remove what the sandbox has on its host. */
export const Destroying = kind("destroying", NoData)
export type NewDestroying = New<typeof Destroying>

export const destroying = (what: string): NewDestroying => ({
  type: "destroying",
  phase: null,
  message: `removing ${what}`,
  data: {},
  occurrence: null
})

/** The sandbox ended. `left` says what is, or may be, left on its host. */
export const Destroyed = kind(
  "destroyed",
  Schema.Struct({ left: Schema.optionalWith(Schema.String, { exact: true }) })
)
export type NewDestroyed = New<typeof Destroyed>

export const destroyed = (left: string | undefined): NewDestroyed => ({
  type: "destroyed",
  phase: null,
  message: left === undefined ? "destroyed" : `destroyed; ${left}`,
  data: left === undefined ? {} : { left },
  occurrence: null
})

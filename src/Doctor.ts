/** Whether this machine has what builds need, and what to do where it has not. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * `warning`: some profiles do without it, or it is slower; `missing`: needed, and not there or not usable. `hint` is
 * what to do about it: `null` where it is ok.
 */
export type Check = {
  readonly name: string
  readonly detail: string
} & (
  | { readonly status: "ok"; readonly hint: null }
  | { readonly status: "warning" | "missing"; readonly hint: string }
)

export const ok = (name: string, detail: string): Check => ({ name, status: "ok", detail, hint: null })

export const warning = (name: string, detail: string, hint: string): Check => ({
  name,
  status: "warning",
  detail,
  hint
})

export const missing = (name: string, detail: string, hint: string): Check => ({
  name,
  status: "missing",
  detail,
  hint
})

/**
 * Looks at all at once, and at each for a bounded time; makes and changes nothing but what every command does.
 * @category services
 */
export class Doctor extends Context.Tag("sandboxer/Doctor")<
  Doctor,
  { readonly examine: Effect.Effect<ReadonlyArray<Check>> }
>() {}

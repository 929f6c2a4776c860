/** Reports that the connection to a host was lost during a provision, and that it is back. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Host } from "../hosts/Host.js"
import { Provision } from "../recipe/Provision.js"
import { Reporter } from "../recipe/Reporter.js"
import { Timing } from "../settings/Timing.js"
import type { StoreError } from "../store/SandboxStore.js"

export const lostMessage = (host: string): string =>
  `lost the connection to ${host}; what runs there continues; reconnecting`
export const backMessage = (host: string): string => `reconnected to ${host}`

/** Warns once for each outage, and notes its end. Never ends. */
export const reportOutages: Effect.Effect<never, StoreError, Host | Provision | Reporter> = Effect.gen(
  function* () {
    const host = yield* Host
    const reporter = yield* Reporter
    const { term } = yield* Provision
    const { outageGrace } = (yield* Timing).supervision
    const lost = Effect.zipRight(
      host.becomes(false),
      Effect.timeoutOption(host.becomes(true), outageGrace)
    ).pipe(Effect.repeat({ until: Option.isNone }))
    for (let outage = 1; ; outage++) {
      yield* lost
      yield* reporter.warning(`link-lost/${term}.${outage}`, lostMessage(host.name))
      yield* host.becomes(true)
      yield* reporter.note(`link-back/${term}.${outage}`, backMessage(host.name))
    }
  }
)

/** Tells of a host whose connection is lost while a provision needs it, and of its return. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Host } from "../hosts/Host.js"
import { Provision } from "../recipe/Provision.js"
import { Reporter } from "../recipe/Reporter.js"
import type { StoreError } from "../store/SandboxStore.js"

/** One that is back within this was hardly gone. */
const patience = "1 second"

export const lostMessage = (host: string): string =>
  `the connection to ${host} is lost; what runs there goes on; trying again`
export const backMessage = (host: string): string => `${host} is reached again`

/** Warns once an outage, and says when it is over; never ends. */
export const reportOutages: Effect.Effect<never, StoreError, Host | Provision | Reporter> = Effect.gen(
  function* () {
    const host = yield* Host
    const reporter = yield* Reporter
    const { term } = yield* Provision
    const lost = Effect.zipRight(
      host.becomes(false),
      Effect.timeoutOption(host.becomes(true), patience)
    ).pipe(Effect.repeat({ until: Option.isNone }))
    for (let outage = 1; ; outage++) {
      yield* lost
      yield* reporter.warning(`link-lost/${term}.${outage}`, lostMessage(host.name))
      yield* host.becomes(true)
      yield* reporter.note(`link-back/${term}.${outage}`, backMessage(host.name))
    }
  }
)

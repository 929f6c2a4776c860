/** Tells of a host whose connection is lost while a provision needs it, and of its return. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Host } from "./Host.js"
import { Provision } from "./Provision.js"
import { Reporter } from "./Reporter.js"
import type { StoreError } from "./SandboxStore.js"

/** One that is back within this was hardly gone. */
const patience = "1 second"

export const lostMessage = (host: string): string =>
  `the connection to ${host} is lost; what runs there goes on; trying again`
export const backMessage = (host: string): string => `${host} is reached again`

/** Warns once an outage, and says when it is over; never ends. */
export const tell: Effect.Effect<never, StoreError, Host | Provision | Reporter> = Effect.gen(function* () {
  const host = yield* Host
  const reporter = yield* Reporter
  const { term } = yield* Provision
  let outages = 0
  yield* host.connected.pipe(
    Stream.flatMap(
      (connected) => Stream.fromEffect(Effect.delay(Effect.succeed(connected), connected ? 0 : patience)),
      { switch: true }
    ),
    Stream.changes,
    Stream.dropWhile((connected) => connected),
    Stream.runForEach((connected) =>
      connected
        ? reporter.note(`link-back/${term}.${outages}`, backMessage(host.name))
        : reporter.warning(`link-lost/${term}.${++outages}`, lostMessage(host.name))
    )
  )
  return yield* Effect.never
})

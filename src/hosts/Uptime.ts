/** How long this machine runs: a clock that nobody sets, for what is to be timed across processes. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** @category services */
export class Uptime extends Context.Tag("sandboxer/Uptime")<
  Uptime,
  {
    readonly bootId: string
    /** Seconds since the machine was started. */
    readonly seconds: Effect.Effect<number>
  }
>() {}

/**
 * A moment on both clocks; `wall` is in epoch milliseconds, `uptime` in seconds of the boot.
 * @category model
 */
export const Moment = Schema.Struct({ wall: Schema.Number, bootId: Schema.String, uptime: Schema.Number })
export type Moment = typeof Moment.Type

/** This moment. */
export const now: Effect.Effect<Moment, never, Uptime> = Effect.gen(function* () {
  const { bootId, seconds } = yield* Uptime
  return { wall: yield* Clock.currentTimeMillis, bootId, uptime: yield* seconds }
})

/** Seconds since a moment, never below 0: the machine's own, or those of the wall where it was started anew since. */
export const secondsSince = (moment: Moment): Effect.Effect<number, never, Uptime> =>
  Effect.map(now, ({ bootId, uptime, wall }) =>
    Math.max(0, bootId === moment.bootId ? uptime - moment.uptime : (wall - moment.wall) / 1000)
  )

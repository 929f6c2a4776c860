/**
 * A clock that is set forward to the next sleeper's end as soon as nothing else is left to do: what a `TestClock` does, whose
 * time somebody has to pass, and which looks twice for milliseconds before each sleep whether all fibers stand still.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

const make = (): Clock.Clock => {
  let now = 0
  let sleepers: ReadonlyArray<Sleeper> = []
  let isDue = false

  // Behind all that is to be done by now; what is woken comes first.
  const pass = () => {
    isDue = false
    const [first, ...others] = sleepers
    if (first === undefined) return
    sleepers = others
    now = Math.max(now, first.until)
    first.wake()
    schedule()
  }
  const schedule = () => {
    if (isDue || sleepers.length === 0) return
    isDue = true
    setImmediate(pass)
  }

  const sleep = (duration: Duration.Duration) =>
    Effect.async<void>((resume) => {
      const sleeper: Sleeper = { until: now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      // What is waited for without an end is not waited for.
      if (sleeper.until === Number.POSITIVE_INFINITY) return undefined
      const at = sleepers.findIndex(({ until }) => until > sleeper.until)
      sleepers = sleepers.toSpliced(at === -1 ? sleepers.length : at, 0, sleeper)
      schedule()
      return Effect.sync(() => {
        sleepers = sleepers.filter((one) => one !== sleeper)
      })
    })
  const nanos = () => BigInt(Math.round(now * 1e6))
  return {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: nanos,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(nanos),
    sleep
  }
}

/** Runs an effect, and all that it forks, in a time of its own, which begins at 0. */
export const inVirtualTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.withClock(effect, make()))

import * as Effect from "effect/Effect"
import { expect } from "vitest"

/**
 * The distance, in calls, between the points at which a test has a supervisor die. In `make check` it is seven, because
 * test/crash-points/fence.test.ts stops a supervisor before each of its writes, and nothing that outlives it changes
 * between two writes. `make check-long` sets EVERY_CRASH_POINT: then it is one.
 */
export const crashPointStep = process.env.EVERY_CRASH_POINT === undefined ? 7 : 1

/**
 * Lets the supervisor die after more and more calls until it does not die any more, and expects the same end each time.
 * Returns the number of calls that it survived.
 */
export const survivesEachDeath = <A, E, R>(
  disturbed: (
    dies: ReadonlyArray<number>
  ) => Effect.Effect<{ readonly died: boolean; readonly ended: A }, E, R>,
  expected: A
): Effect.Effect<number, E, R> =>
  Effect.gen(function* () {
    for (let calls = 0; ; calls += crashPointStep) {
      const { died, ended } = yield* disturbed([calls])
      expect(ended, `after ${calls} calls`).toEqual(expected)
      if (!died) return calls + crashPointStep
    }
  })

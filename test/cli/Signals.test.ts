import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { answering, make, Signals, untilSignal } from "../../src/cli/Signals.js"

/** Signals whose answers are written down, in the order in which they ran. */
const recorded = Effect.sync(() => {
  const answers: Array<string> = []
  const answer = (name: string) => Effect.sync(() => void answers.push(name))
  const signals = make(() => void answers.push("interrupt"))
  const raise = Effect.sync(signals.raise)
  return { answer, answers, raise, signals }
})

describe("a signal", () => {
  it.effect("interrupts the program while no part of it has an answer", () =>
    Effect.gen(function* () {
      const { answers, raise } = yield* recorded
      yield* raise
      expect(answers).toEqual(["interrupt"])
    })
  )

  it.effect("runs the answer of the innermost part alone, then that of the part around it", () =>
    Effect.gen(function* () {
      const { answer, answers, raise, signals } = yield* recorded
      const inner = answering(raise, answer("inner"))
      yield* answering(Effect.zipRight(inner, raise), answer("outer")).pipe(
        Effect.zipRight(raise),
        Effect.provideService(Signals, signals)
      )
      expect(answers).toEqual(["inner", "outer", "interrupt"])
    })
  )

  it.effect("runs an answer as often as it comes", () =>
    Effect.gen(function* () {
      const { answer, answers, raise, signals } = yield* recorded
      yield* answering(Effect.zipRight(raise, raise), answer("again")).pipe(
        Effect.provideService(Signals, signals)
      )
      expect(answers).toEqual(["again", "again"])
    })
  )

  it.effect("does not run the answer of a part that failed or was interrupted", () =>
    Effect.gen(function* () {
      const { answer, answers, raise, signals } = yield* recorded
      yield* Effect.exit(answering(Effect.fail("no"), answer("failed"))).pipe(
        Effect.provideService(Signals, signals)
      )
      const begun = yield* Deferred.make<void>()
      const part = answering(
        Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never),
        answer("interrupted")
      )
      const fiber = yield* Effect.fork(Effect.provideService(part, Signals, signals))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      yield* raise
      expect(answers).toEqual(["interrupt"])
    })
  )

  it.effect("runs the answer of a part that ends after a newer one", () =>
    Effect.gen(function* () {
      const { answers, raise, signals } = yield* recorded
      const removeFirst = signals.push(() => void answers.push("first"))
      const removeSecond = signals.push(() => void answers.push("second"))
      removeFirst()
      yield* raise
      removeSecond()
      yield* raise
      expect(answers).toEqual(["second", "interrupt"])
    })
  )
})

describe("untilSignal", () => {
  it.effect("ends an effect at a signal, and runs its finalizers", () =>
    Effect.gen(function* () {
      const { answers, raise, signals } = yield* recorded
      let closed = false
      const work = Effect.zipRight(raise, Effect.never).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            closed = true
          })
        )
      )
      yield* Effect.provideService(untilSignal(work), Signals, signals)
      expect({ closed, answers }).toEqual({ closed: true, answers: [] })
    })
  )

  it.effect("ends and fails as the effect does if no signal comes", () =>
    Effect.gen(function* () {
      yield* untilSignal(Effect.void)
      expect(yield* Effect.exit(untilSignal(Effect.fail("no")))).toEqual(Exit.fail("no"))
    })
  )
})

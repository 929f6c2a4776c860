/**
 * What SIGINT and SIGTERM do. A verb sets its own answer to them while a part of it runs. Of several answers only the newest
 * is used, so they nest as the parts do. The oldest one interrupts the program, which then ends its children and exits with
 * 130.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"

interface SignalsShape {
  /** Runs the newest answer: what a signal does, and Ctrl-C on a terminal in raw mode. */
  readonly raise: () => void
  /** Adds an answer; returns what removes it again. */
  readonly push: (answer: () => void) => () => void
}

/** The answers, of which the oldest is `interrupt`. */
export const make = (interrupt: () => void): SignalsShape => {
  const answers = [interrupt]
  return {
    raise: () => answers.at(-1)?.(),
    push: (answer) => {
      answers.push(answer)
      // Parts that run side by side end in any order: it need not be the newest any more.
      return () => void answers.splice(answers.lastIndexOf(answer), 1)
    }
  }
}

/** The answers to the signals that this process gets. */
export const ofProcess = (interrupt: () => void): SignalsShape => {
  const signals = make(interrupt)
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, signals.raise)
  return signals
}

/** Without the executable, the signals of the process are not ours: nothing raises them. */
export class Signals extends Context.Reference<Signals>()("sandboxer/cli/Signals", {
  defaultValue: () => make(() => {})
}) {}

/** Runs `effect`, during which a signal runs `answer` and does nothing else. */
export const answering = <A, E, R, R2>(
  effect: Effect.Effect<A, E, R>,
  answer: Effect.Effect<unknown, unknown, R2>
): Effect.Effect<A, E, R | R2> =>
  Effect.gen(function* () {
    const signals = yield* Signals
    const runtime = yield* Effect.runtime<R2>()
    return yield* Effect.acquireUseRelease(
      Effect.sync(() => signals.push(() => void Runtime.runFork(runtime)(answer))),
      () => effect,
      (remove) => Effect.sync(remove)
    )
  })

/** Runs `effect` until it has ended or a signal ends it, which is no failure. */
export const untilSignal = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<void, E, R> =>
  Effect.flatMap(Deferred.make<void>(), (signalled) =>
    answering(
      Effect.raceFirst(Effect.asVoid(effect), Deferred.await(signalled)),
      Deferred.succeed(signalled, undefined)
    )
  )

/**
 * Delivers notes to the State Hub, apart from the work that they report.
 *
 * Responsibilities
 * - Sends the notes that wait in the outbox, in the order in which they were written, and records how that ended.
 * - Decides when to try again: after a backoff, as the hub says, or when a person has corrected the configuration.
 * - Delivers beside the work (`withDelivery`, `deliverForever`), after a command (`deliverBriefly`), and on demand (`flush`).
 *
 * Invariants
 * - One process sends at a time: the one that holds the outbox's lease. `settle` is fenced by its term.
 * - A note is sent at least once, and not again once its delivery was recorded.
 * - A rejected note is set aside, so it never blocks the notes after it.
 * - A hub that is away neither fails the work nor delays its end by more than 5 s.
 *
 * Tricky interleavings
 * - The sender is interrupted during a request: once the answer was read, recording it cannot be interrupted.
 * - The sender was stopped during a request, and another process took over: both send the same notes, which the hub
 *   recognises by their ids. The first one records nothing.
 * - Two processes see that it is time to send, and the first one fails: the second one looks again once it has the lease,
 *   so it respects the backoff that the first one recorded.
 * - A note is written just after the sender looked for the last time, and before it gave the lease back: the process that
 *   wrote the note finds the outbox busy, so it looks again until it does not (`withDelivery`).
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { monotonicSeconds } from "../../domain/Monotonic.js"
import { oneLine } from "../../domain/Note.js"
import type { Delivering, Settlement, WaitingNote } from "../../domain/Outbox.js"
import { Timing, type TimingShape } from "../../settings/Timing.js"
import { hold, holderIsDeadOrStill, makeStillness } from "../../store/Lease.js"
import type { ProcessIdentity } from "../../store/ProcessIdentity.js"
import { SandboxStore, type StoreError } from "../../store/SandboxStore.js"
import { HubError, StateHub } from "./StateHub.js"

/**
 * How a delivery ended.
 *
 * - `none`: no note waits any more
 * - `busy`: another process sends
 * - `later`: the hub did not take the notes, or it is not yet time to try again
 * - `no-hub`: no hub is configured
 */
export type Delivered = "none" | "busy" | "later" | "no-hub"

/** Doubled for each failure up to a limit; by chance down to half of that. */
const backoffMillis = (failures: number, { backoffFirst, backoffMax }: TimingShape["hub"]) =>
  Effect.map(
    Random.nextRange(0.5, 1),
    (part) =>
      Math.min(Duration.toMillis(backoffMax), Duration.toMillis(backoffFirst) * 2 ** (failures - 1)) * part
  )

/** A time that lies further ahead than any wait does not count: the clock was set back since. */
const isDue = (
  { nextTryAt, target: of }: Delivering,
  target: string | undefined,
  now: number,
  longest: Duration.Duration
) =>
  nextTryAt === null ||
  nextTryAt <= now ||
  nextTryAt > now + Duration.toMillis(longest) ||
  of !== (target ?? null)

const deliveringAfter = (
  result: Either.Either<void, HubError>,
  before: Delivering,
  target: string | undefined,
  now: number
): Effect.Effect<Delivering> =>
  Effect.gen(function* () {
    const answered = { target: target ?? null, answeredAt: now }
    if (Either.isRight(result)) {
      return { ...answered, failures: 0, nextTryAt: null, paused: false, answer: "taken" }
    }
    const { message, reason, retryAfterSeconds = 0 } = result.left
    const answer = oneLine(message)
    if (reason === "refused") return { ...answered, failures: 0, nextTryAt: null, paused: false, answer }
    const { hub } = yield* Timing
    const failures = before.failures + 1
    const pause =
      reason === "misconfigured"
        ? Duration.toMillis(hub.refusedPause)
        : Math.max(
            yield* backoffMillis(failures, hub),
            Math.min(Duration.toMillis(hub.retryAfterMax), retryAfterSeconds * 1000)
          )
    const nextTryAt = now + pause
    return { ...answered, failures, nextTryAt, paused: reason === "misconfigured", answer }
  })

/** Sends notes in one request and records how that ended: whether to continue, to stop, or to send them one by one. */
const send = (
  term: number,
  notes: ReadonlyArray<WaitingNote>,
  before: Delivering
): Effect.Effect<"continue" | "stop" | "singly", StoreError, SandboxStore | StateHub> =>
  Effect.gen(function* () {
    const { outbox } = yield* SandboxStore
    const { publish, target } = yield* StateHub
    const { hub } = yield* Timing
    const publishing = publish(notes.map(({ note }) => note)).pipe(
      Effect.timeoutFail({
        duration: hub.publishTimeout,
        onTimeout: () =>
          new HubError({
            reason: "unavailable",
            message: "the hub does not answer",
            hint: "check whether the hub is running"
          })
      })
    )
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const result = yield* Effect.either(restore(publishing))
        const delivering = yield* deliveringAfter(result, before, target, yield* Clock.currentTimeMillis)
        const positions = notes.map(({ position }) => position)
        const refused = Either.isLeft(result) && result.left.reason === "refused" ? result.left : undefined
        const [first] = positions
        const isSetAside = positions.length === 1 && first !== undefined && refused !== undefined
        const settlement: Settlement = {
          delivered: Either.isRight(result) ? positions : [],
          refused: isSetAside ? { position: first, reason: oneLine(refused.message) } : undefined,
          again: Either.isRight(result) || isSetAside ? [] : positions,
          delivering
        }
        if (!(yield* outbox.settle(term, settlement))) return "stop"
        if (Either.isRight(result) || isSetAside) return "continue"
        return refused === undefined ? "stop" : "singly"
      })
    )
  })

const sendAll = (
  term: number,
  delivering: Delivering
): Effect.Effect<Delivered, StoreError, SandboxStore | StateHub> =>
  Effect.gen(function* () {
    const { outbox } = yield* SandboxStore
    const { hub } = yield* Timing
    let before = delivering
    for (;;) {
      // After a failure one note is enough to find out whether the hub is back.
      const notes = yield* outbox.waiting(before.failures > 0 ? 1 : hub.batch)
      if (notes.length === 0) return "none"
      let next = yield* send(term, notes, before)
      if (next === "singly") {
        for (const note of notes) {
          next = yield* send(term, [note], before)
          if (next === "stop") break
        }
      }
      if (next === "stop") return "later"
      before = { ...before, failures: 0 }
    }
  })

/**
 * Sends the notes that wait, if it is time to; with `now`, regardless of the backoff. Run the same effect again to try
 * again: it remembers for how long another sender has stood still.
 */
export const deliver = ({
  now = false
}: {
  readonly now?: boolean
} = {}): Effect.Effect<Delivered, StoreError, ProcessIdentity | SandboxStore | StateHub> => {
  const stillness = makeStillness()
  const look: Effect.Effect<Exclude<Delivered, "busy"> | Delivering, StoreError, SandboxStore | StateHub> =
    Effect.gen(function* () {
      const { tells, target } = yield* StateHub
      if (tells === false) return "no-hub"
      const { outbox } = yield* SandboxStore
      const { delivering, waits } = yield* outbox.peek
      if (!waits) return "none"
      const { retryAfterMax } = (yield* Timing).hub
      return now || isDue(delivering, target, yield* Clock.currentTimeMillis, retryAfterMax)
        ? delivering
        : "later"
    })
  return Effect.gen(function* () {
    const { outbox } = yield* SandboxStore
    const found = yield* look
    if (typeof found === "string") return found
    const { senderSilence } = (yield* Timing).hub
    return yield* hold(outbox.lease, holderIsDeadOrStill(stillness, senderSilence), (term) =>
      Effect.flatMap(look, (delivering) =>
        typeof delivering === "string" ? Effect.succeed(delivering) : sendAll(term, delivering)
      )
    )
  }).pipe(Effect.catchTag("LeaseTaken", () => Effect.succeed("busy" as const)))
}

/** Delivers until it is interrupted: for processes that stay. */
export const deliverForever: Effect.Effect<never, never, ProcessIdentity | SandboxStore | StateHub> =
  Effect.flatMap(Timing, ({ hub }) =>
    deliver().pipe(Effect.ignore, Effect.repeat(Schedule.spaced(hub.interval)), Effect.zipRight(Effect.never))
  )

/** Delivers for a few seconds at most and never fails: for the end of a command. */
export const deliverBriefly: Effect.Effect<void, never, ProcessIdentity | SandboxStore | StateHub> =
  Effect.flatMap(Timing, ({ hub }) => deliver().pipe(Effect.timeoutOption(hub.endWait), Effect.ignore))

/** Runs `work` and delivers beside it, and afterwards for a few seconds at most. The hub changes nothing about how the work ends. */
export const withDelivery = <A, E, R>(
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | ProcessIdentity | SandboxStore | StateHub> =>
  Effect.scoped(
    Effect.gen(function* () {
      if ((yield* StateHub).tells === false) return yield* work
      const { busyPoll, endWait, interval } = (yield* Timing).hub
      const ended = yield* Deferred.make<void>()
      const pause = Effect.raceFirst(Deferred.await(ended), Effect.sleep(interval))
      const once = deliver()
      const round = Effect.gen(function* () {
        const isLast = yield* Deferred.isDone(ended)
        const outcome = yield* once
        if (isLast && outcome !== "busy") return true
        yield* isLast ? Effect.sleep(busyPoll) : pause
        return false
      })
      // A store that fails now may work again a second later; after the work it is not waited for.
      const rounds = Effect.repeat(
        Effect.orElse(round, () => Effect.zipRight(pause, Deferred.isDone(ended))),
        { until: (done) => done }
      )
      const loop = yield* Effect.forkScoped(rounds)
      return yield* Effect.onExit(work, () =>
        Deferred.succeed(ended, undefined).pipe(
          Effect.zipRight(Effect.interruptible(Fiber.await(loop))),
          Effect.timeoutOption(endWait)
        )
      )
    })
  )

/**
 * Delivers now, regardless of the backoff, and tries again for `seconds`. It ends early where nothing waits any more, and
 * where only a person can help.
 */
export const flush = (
  seconds: number
): Effect.Effect<Delivered, StoreError, ProcessIdentity | SandboxStore | StateHub> =>
  Effect.gen(function* () {
    const { outbox } = yield* SandboxStore
    const { interval } = (yield* Timing).hub
    const until = (yield* monotonicSeconds) + seconds
    const once = deliver({ now: true })
    for (;;) {
      const outcome = yield* once
      if (outcome === "none" || outcome === "no-hub") return outcome
      if (outcome === "later" && (yield* outbox.peek).delivering.paused) return outcome
      if ((yield* monotonicSeconds) + Duration.toSeconds(interval) > until) return outcome
      yield* Effect.sleep(interval)
    }
  })

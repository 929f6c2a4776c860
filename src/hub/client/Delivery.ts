/**
 * Delivering notes to the State Hub, apart from the work that they tell of: in order, at least once, and never again
 * once the hub's yes was read. Any number of processes may try; one delivers at a time.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { oneLine } from "../../domain/Note.js"
import type { Delivering, Sender, Settlement, WaitingNote } from "../../domain/Outbox.js"
import { ProcessIdentity } from "../../store/ProcessIdentity.js"
import { SandboxStore, type StoreError } from "../../store/SandboxStore.js"
import { HubError, StateHub } from "./StateHub.js"

/**
 * What a delivery came to.
 *
 * - `none`: nothing waits any more
 * - `busy`: another one delivers
 * - `later`: it was tried in vain, or it is not time to try
 * - `untold`: there is no hub
 */
export type Delivered = "none" | "busy" | "later" | "untold"

const batch = 100
const lookEvery = Duration.seconds(1)
/** What a hub may hold up the end of anything, in seconds. */
const patience = Duration.seconds(5)
/** An adapter has its own limits; this is for one that has none. */
const longestPublish = Duration.seconds(30)
/** Who delivers and writes nothing for so long is taken for dead, in milliseconds. */
const longestSilence = 60_000
const longestBackoff = 300
/** A person has to mend it: seldom, as each try may be one more in somebody's log of refusals. */
const pauseSeconds = 600
const longestRetryAfter = 3600

/** A second to begin with, twice as long each time, five minutes at most; by chance down to the half of it. */
const backoffSeconds = (failures: number) =>
  Effect.map(Random.nextRange(0.5, 1), (part) => Math.min(longestBackoff, 2 ** (failures - 1)) * part)

/** A clock that was set back would have one wait for longer than ever was meant. */
const isDue = ({ delivering: { nextTryAt, target: of } }: Sender, target: string | undefined, now: number) =>
  nextTryAt === null ||
  nextTryAt <= now ||
  nextTryAt > now + longestRetryAfter * 1000 ||
  of !== (target ?? null)

/** Whether one may take over from who delivers; of this process too there is only one at a time. */
const mayTake = ({ holder, renewedAt }: Sender, now: number) =>
  Effect.gen(function* () {
    if (holder === null || now - renewedAt >= longestSilence) return true
    return !(yield* Effect.flatMap(ProcessIdentity, ({ mayBeAlive }) => mayBeAlive(holder)))
  })

const after = (
  result: Either.Either<void, HubError>,
  before: Delivering,
  target: string | undefined,
  now: number
): Effect.Effect<Delivering> =>
  Effect.gen(function* () {
    const said = { target: target ?? null, answeredAt: now }
    if (Either.isRight(result)) {
      return { ...said, failures: 0, nextTryAt: null, paused: false, answer: "taken" }
    }
    const { message, reason, retryAfterSeconds = 0 } = result.left
    const answer = oneLine(message)
    if (reason === "refused") return { ...said, failures: 0, nextTryAt: null, paused: false, answer }
    const failures = before.failures + 1
    const seconds =
      reason === "misconfigured"
        ? pauseSeconds
        : Math.max(yield* backoffSeconds(failures), Math.min(longestRetryAfter, retryAfterSeconds))
    return { ...said, failures, nextTryAt: now + seconds * 1000, paused: reason === "misconfigured", answer }
  })

/** Sends notes in one request and writes what became of them; whether one can go on. */
const send = (
  term: number,
  notes: ReadonlyArray<WaitingNote>,
  before: Delivering
): Effect.Effect<"on" | "stop" | "singly", StoreError, SandboxStore | StateHub> =>
  Effect.gen(function* () {
    const { outbox } = yield* SandboxStore
    const { publish, target } = yield* StateHub
    const publishing = publish(notes.map(({ note }) => note)).pipe(
      Effect.timeoutFail({
        duration: longestPublish,
        onTimeout: () =>
          new HubError({
            reason: "unavailable",
            message: "the hub does not answer",
            hint: "look after the hub"
          })
      })
    )
    // Once it was read that the hub has them, this is written down: also by who is told to leave.
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const result = yield* Effect.either(restore(publishing))
        const delivering = yield* after(result, before, target, yield* Clock.currentTimeMillis)
        const positions = notes.map(({ position }) => position)
        const refused = Either.isLeft(result) && result.left.reason === "refused" ? result.left : undefined
        const [first] = positions
        const alone = positions.length === 1 && first !== undefined && refused !== undefined
        const settlement: Settlement = {
          delivered: Either.isRight(result) ? positions : [],
          refused: alone ? { position: first, reason: oneLine(refused.message) } : undefined,
          again: Either.isRight(result) || alone ? [] : positions,
          delivering
        }
        // Where another one took over, it is for that one to go on.
        if (!(yield* outbox.settle(term, settlement))) return "stop"
        return Either.isRight(result) || alone ? "on" : refused === undefined ? "stop" : "singly"
      })
    )
  })

const sendAll = (
  term: number,
  { delivering }: Sender
): Effect.Effect<Delivered, StoreError, SandboxStore | StateHub> =>
  Effect.gen(function* () {
    const { outbox } = yield* SandboxStore
    let before = delivering
    for (;;) {
      // One that was away is asked with one note first.
      const notes = yield* outbox.waiting(before.failures > 0 ? 1 : batch)
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

/** Delivers all that waits, if it is time to; with `now`, whatever the backoff says. */
export const deliver = (
  options: { readonly now?: boolean } = {}
): Effect.Effect<Delivered, StoreError, ProcessIdentity | SandboxStore | StateHub> =>
  Effect.gen(function* () {
    const { target, tells } = yield* StateHub
    if (tells === false) return "untold"
    const { outbox } = yield* SandboxStore
    const { sender, waits } = yield* outbox.peek
    if (!waits) return "none"
    const now = yield* Clock.currentTimeMillis
    if (options.now !== true && !isDue(sender, target, now)) return "later"
    if (!(yield* mayTake(sender, now))) return "busy"
    const { self } = yield* ProcessIdentity
    return yield* Effect.acquireUseRelease(
      outbox.take(self, sender.term),
      (term): Effect.Effect<Delivered, StoreError, SandboxStore | StateHub> =>
        term === undefined ? Effect.succeed("busy") : sendAll(term, sender),
      (term) => (term === undefined ? Effect.void : Effect.ignore(outbox.release(term)))
    )
  })

/** Delivers what waits, for as long as it is interrupted: for who stays. */
export const deliverForever: Effect.Effect<never, never, ProcessIdentity | SandboxStore | StateHub> =
  deliver().pipe(Effect.ignore, Effect.repeat(Schedule.spaced(lookEvery)), Effect.zipRight(Effect.never))

/** Delivers what waits where that takes no longer than 5 s, and never fails: for the end of a command. */
export const deliverBriefly: Effect.Effect<void, never, ProcessIdentity | SandboxStore | StateHub> =
  deliver().pipe(Effect.timeoutOption(patience), Effect.ignore)

/**
 * Runs `work` and delivers meanwhile, and what it leaves for 5 s at most; a hub that cannot take notes changes nothing
 * for the work.
 */
export const withDelivery = <A, E, R>(
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | ProcessIdentity | SandboxStore | StateHub> =>
  Effect.scoped(
    Effect.gen(function* () {
      if ((yield* StateHub).tells === false) return yield* work
      const ended = yield* Deferred.make<void>()
      const round = Effect.gen(function* () {
        const last = yield* Deferred.isDone(ended)
        const outcome = yield* deliver()
        if (last && outcome !== "busy") return true
        // Another one that delivers may have looked before the last note was there.
        yield* last
          ? Effect.sleep(Duration.millis(100))
          : Effect.raceFirst(Deferred.await(ended), Effect.sleep(lookEvery))
        return false
      })
      // A store that fails now may not do so in a second.
      const patient = Effect.orElse(round, () =>
        Effect.zipRight(
          Effect.raceFirst(Deferred.await(ended), Effect.sleep(lookEvery)),
          Deferred.isDone(ended)
        )
      )
      const loop = yield* Effect.forkScoped(Effect.repeat(patient, { until: (done) => done }))
      return yield* Effect.onExit(work, () =>
        Deferred.succeed(ended, undefined).pipe(
          Effect.zipRight(Effect.interruptible(Fiber.await(loop))),
          Effect.timeoutOption(patience)
        )
      )
    })
  )

/**
 * Delivers now, whatever the backoff says, and again for as long as `seconds`; how that ended. It ends at once where
 * trying again would not help.
 */
export const flush = (
  seconds: number
): Effect.Effect<Delivered, StoreError, ProcessIdentity | SandboxStore | StateHub> =>
  Effect.gen(function* () {
    const { outbox } = yield* SandboxStore
    const until = (yield* Clock.currentTimeMillis) + seconds * 1000
    for (;;) {
      const outcome = yield* deliver({ now: true })
      if (outcome === "none" || outcome === "untold") return outcome
      const { sender } = yield* outbox.peek
      if (outcome === "later" && sender.delivering.paused) return outcome
      if ((yield* Clock.currentTimeMillis) + Duration.toMillis(lookEvery) > until) return outcome
      yield* Effect.sleep(lookEvery)
    }
  })

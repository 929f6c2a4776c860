/**
 * Leases: of the processes that could do something, one does it. A sandbox's supervisor, the sender of notes and `serve`
 * each hold one.
 *
 * Responsibilities
 * - `hold` takes a lease, renews it while it is used, stops the use once the lease is lost, and gives it back.
 * - A `TakeOver` decides when a lease may be taken from a holder that did not give it back.
 * - Where a lease is stored is up to its `LeaseStorage`: a row of `leases`, the row of `sender`, a file of `serve/`.
 *
 * Invariants
 * - A term has one holder. It grows with each take-over and is never used again, since taking is atomic and names the
 *   term that was seen.
 * - The lease alone makes nothing safe: its holder may be stopped at any point and continue when another one is done.
 *   What it writes is therefore fenced: it compares its term with the newest one in the transaction of the write.
 * - No wall clock counts. Only a change of the heartbeat does, seen by one observer and timed on its monotonic clock.
 *
 * Tricky interleavings
 * - Two processes see the same term, and both may take it: one of them gets the next term. The other one looks again,
 *   and finds a holder that is alive.
 * - A holder that was stopped continues after it lost the lease: until its next renewal it believes that it holds it.
 *   Its writes fail by the fence; the renewal then ends its work, and giving back changes nothing, as it names the old term.
 * - A pid is used again: the holder is named by machine, boot, pid and start time, so the new process is not taken for it.
 * - The observer was stopped too, together with the holder or alone: while it did not look, it saw nothing stand still.
 *   So the time between two looks counts up to a limit.
 * - The storage cannot be written for a while: renewals fail, and say nothing about who holds the lease. The work goes on.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Holder } from "../domain/Holder.js"
import { monotonicSeconds } from "../domain/Monotonic.js"
import { Timing } from "../settings/Timing.js"
import { ProcessIdentity } from "./ProcessIdentity.js"

/** A lease as it is stored. */
export interface HeldLease {
  /** The number of the last take-over; 0 where there was none. */
  readonly term: number
  /** Null where nobody holds it. */
  readonly holder: Holder | null
  /** Differs after each renewal; its value has no further meaning. */
  readonly heartbeat: number
}

/** Where one lease is stored; any number of processes use it at once. */
export interface LeaseStorage<E> {
  readonly read: Effect.Effect<HeldLease, E>
  /** Gives `holder` the term after `seen`, at once or not at all; false where `seen` is not the newest term. */
  readonly take: (holder: Holder, seen: number) => Effect.Effect<boolean, E>
  /** Changes the heartbeat; false where `term` is not the newest one. */
  readonly renew: (term: number) => Effect.Effect<boolean, E>
  /** Gives the lease back; changes nothing where `term` is not the newest one. */
  readonly release: (term: number) => Effect.Effect<void, E>
}

/** Another process holds the lease: it was first, or has taken it over. */
export class LeaseTaken extends Data.TaggedError("LeaseTaken")<{ readonly lease: HeldLease }> {}

/** Whether a lease may be taken from the holder that it has. Later also: whether this process owns the shard. */
export type TakeOver = (lease: HeldLease) => Effect.Effect<boolean, never, ProcessIdentity>

/** The holder is proven dead: of a process on another machine there is no proof. */
export const holderIsDead: TakeOver = ({ holder }) =>
  holder === null
    ? Effect.succeed(true)
    : Effect.flatMap(ProcessIdentity, ({ mayBeAlive }) => Effect.map(mayBeAlive(holder), (alive) => !alive))

/** For how many seconds this observer has seen the heartbeat stand still; 0 where it has changed since the last look. */
export type Stillness = (lease: HeldLease) => Effect.Effect<number>

/** An observer of one lease. */
export const makeStillness = (): Stillness => {
  let heartbeat = ""
  let lookedAt = 0
  let still = 0
  return (lease) =>
    Effect.zipWith(Timing, monotonicSeconds, (timing, now) => {
      const latest = `${lease.term}/${lease.heartbeat}`
      still =
        latest === heartbeat ? still + Math.min(now - lookedAt, Duration.toSeconds(timing.lease.lookMax)) : 0
      heartbeat = latest
      lookedAt = now
      return still
    })
}

/** The holder is proven dead, or this observer has seen its heartbeat stand still for so long. */
export const holderIsDeadOrStill =
  (stillness: Stillness, silence: Duration.Duration): TakeOver =>
  (lease) =>
    Effect.zipWith(
      stillness(lease),
      holderIsDead(lease),
      (still, isDead) => isDead || still >= Duration.toSeconds(silence)
    )

/** Takes a lease that is free or may be taken over, and gives its term. */
const take = <E>(
  storage: LeaseStorage<E>,
  mayTakeOver: TakeOver
): Effect.Effect<number, E | LeaseTaken, ProcessIdentity> =>
  Effect.gen(function* () {
    const { self } = yield* ProcessIdentity
    for (;;) {
      const lease = yield* storage.read
      if (lease.holder !== null && !(yield* mayTakeOver(lease))) return yield* new LeaseTaken({ lease })
      if (yield* storage.take(self, lease.term)) return lease.term + 1
    }
  })

/** Renews a lease until it is lost. */
const renewUntilLost = <E>({ read, renew }: LeaseStorage<E>, term: number) =>
  Effect.gen(function* () {
    const { lease } = yield* Timing
    yield* renew(term).pipe(
      Effect.orElseSucceed(() => true),
      Effect.delay(lease.renewInterval),
      Effect.repeat({ while: (isHeld) => isHeld })
    )
    return yield* new LeaseTaken({ lease: yield* read })
  })

/**
 * Runs `use` with the term of a lease, for as long as the lease is held; gives the lease back at the end.
 * `LeaseTaken` where another process holds it, at first or later.
 */
export const hold = <A, E, R, S>(
  storage: LeaseStorage<S>,
  mayTakeOver: TakeOver,
  use: (term: number) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | S | LeaseTaken, R | ProcessIdentity> =>
  Effect.acquireUseRelease(
    take(storage, mayTakeOver),
    (term) => Effect.raceFirst(use(term), renewUntilLost(storage, term)),
    (term) => Effect.ignore(storage.release(term))
  )

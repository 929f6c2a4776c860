/** One contract for the three places where leases are stored, and what `hold` and its take-over policies do with them. */
import { describe, expect, it } from "@effect/vitest"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { Holder } from "../../src/domain/Holder.js"
import * as ServeLease from "../../src/sandboxes/ServeLease.js"
import { layerHome } from "../../src/settings/Settings.js"
import {
  hold,
  holderIsDead,
  holderIsDeadOrStill,
  type LeaseStorage,
  makeStillness,
  type TakeOver
} from "../../src/store/Lease.js"
import { ProcessIdentity } from "../../src/store/ProcessIdentity.js"
import { SandboxStore } from "../../src/store/SandboxStore.js"
import * as Sql from "../../src/store/sql/SandboxStoreSql.js"
import { id, plan, platform, requested, sandbox, temporaryFolder } from "../support/inMemory.js"

type MakeStorage = Effect.Effect<LeaseStorage<unknown>, unknown, Scope.Scope>

const home = Layer.unwrapEffect(Effect.map(temporaryFolder, layerHome)).pipe(Layer.provideMerge(platform))
const store = Effect.map(Layer.build(Layer.provide(Sql.layer, home)), (context) =>
  SandboxStore.pipe(Effect.provide(context))
).pipe(Effect.flatten)

const ofSupervisor: MakeStorage = Effect.gen(function* () {
  const { create, lease } = yield* store
  yield* create(sandbox(), plan(), requested)
  return lease(id(1))
})
const ofSender: MakeStorage = Effect.map(store, ({ outbox }) => outbox.lease)
const ofServe: MakeStorage = Effect.flatMap(Layer.build(home), (context) =>
  Effect.map(ServeLease.makeStorage, ({ storage }) => storage).pipe(Effect.provide(context))
)

const holder = (pid: number, startTime = 1): Holder => ({ machine: "m", bootId: "b", pid, startTime })

/** The processes of one machine: pid and start time of those that are alive. */
const makeMachine = () => {
  const living = new Map<number, number>()
  return {
    kill: (pid: number) => void living.delete(pid),
    /** Runs an effect as process `pid`, which is started where it is not alive. */
    as: <A, E, R>(pid: number, effect: Effect.Effect<A, E, R>, startTime = 1) => {
      living.set(pid, startTime)
      return Effect.provideService(effect, ProcessIdentity, {
        self: holder(pid, startTime),
        mayBeAlive: (one) => Effect.sync(() => living.get(one.pid) === one.startTime),
        kill: () => Effect.void
      })
    }
  }
}

/** Holds a lease until the fiber is interrupted, or the lease is lost. */
const holding = <E>(storage: LeaseStorage<E>, mayTakeOver: TakeOver = holderIsDead) =>
  Effect.gen(function* () {
    const held = yield* Deferred.make<number>()
    const fiber = yield* Effect.fork(
      hold(storage, mayTakeOver, (term) => Effect.zipRight(Deferred.succeed(held, term), Effect.never))
    )
    yield* Effect.raceFirst(Deferred.await(held), Fiber.join(fiber))
    return fiber
  })

const isTakenBy = (pid: number) => ({ _tag: "LeaseTaken", lease: { holder: { pid } } })

describe.each([
  ["of a supervisor", ofSupervisor],
  ["of the sender of notes", ofSender],
  ["of serve", ofServe]
] as const)("the lease %s", (_, makeStorage) => {
  const test = (
    name: string,
    run: (storage: LeaseStorage<unknown>) => Effect.Effect<void, unknown, Scope.Scope>
  ) => it.scoped(name, () => Effect.flatMap(makeStorage, run))

  test("gives each term to one holder, and only after the term that was seen", (storage) =>
    Effect.gen(function* () {
      expect(yield* storage.read).toMatchObject({ term: 0, holder: null })
      expect(yield* storage.take(holder(1), 0)).toBe(true)
      expect(yield* storage.take(holder(2), 0)).toBe(false)
      expect(yield* storage.read).toMatchObject({ term: 1, holder: holder(1) })
      expect(yield* storage.take(holder(2), 1)).toBe(true)
      expect(yield* storage.take(holder(3), 0)).toBe(false)
      expect(yield* storage.read).toMatchObject({ term: 2, holder: holder(2) })
    }))

  test("is had by one of many that take it at once", (storage) =>
    Effect.gen(function* () {
      for (const seen of [0, 1, 2]) {
        const pids = [1, 2, 3, 4, 5]
        const taken = yield* Effect.forEach(pids, (pid) => storage.take(holder(pid), seen), {
          concurrency: "unbounded"
        })
        expect(taken.filter((one) => one)).toHaveLength(1)
        const winner = holder(pids[taken.indexOf(true)] ?? 0)
        expect(yield* storage.read).toMatchObject({ term: seen + 1, holder: winner })
      }
    }))

  test("is renewed for the newest term alone", (storage) =>
    Effect.gen(function* () {
      yield* storage.take(holder(1), 0)
      expect(yield* storage.renew(1)).toBe(true)
      yield* storage.take(holder(2), 1)
      const before = yield* storage.read
      yield* TestClock.adjust("1 second")
      expect(yield* storage.renew(1)).toBe(false)
      expect(yield* storage.read).toEqual(before)
      expect(yield* storage.renew(2)).toBe(true)
    }))

  test("is given back for the newest term alone, and no term is used again", (storage) =>
    Effect.gen(function* () {
      yield* storage.take(holder(1), 0)
      yield* storage.release(1)
      expect(yield* storage.read).toMatchObject({ term: 1, holder: null })
      yield* storage.take(holder(2), 1)
      yield* storage.release(1)
      expect(yield* storage.read).toMatchObject({ term: 2, holder: holder(2) })
    }))

  test("is held by one process at a time, and given back however its use ends", (storage) =>
    Effect.gen(function* () {
      const { as } = makeMachine()
      const first = yield* as(1, holding(storage))
      expect(yield* Effect.flip(as(2, holding(storage)))).toMatchObject(isTakenBy(1))
      yield* Fiber.interrupt(first)
      expect(yield* storage.read).toMatchObject({ term: 1, holder: null })
      expect(
        yield* Effect.flip(
          as(
            2,
            hold(storage, holderIsDead, () => Effect.fail("no"))
          )
        )
      ).toBe("no")
      expect(yield* storage.read).toMatchObject({ term: 2, holder: null })
      expect(yield* as(1, hold(storage, holderIsDead, Effect.succeed))).toBe(3)
    }))

  test("is had by one of many that hold it at once", (storage) =>
    Effect.gen(function* () {
      const { as } = makeMachine()
      const results = yield* Effect.forEach(
        [1, 2, 3, 4, 5],
        (pid) => Effect.either(as(pid, holding(storage))),
        {
          concurrency: "unbounded"
        }
      )
      expect(results.filter(({ _tag }) => _tag === "Right")).toHaveLength(1)
      expect((yield* storage.read).term).toBe(1)
    }))

  test("is taken over from a dead process, also where another process has its pid", (storage) =>
    Effect.gen(function* () {
      const { as, kill } = makeMachine()
      yield* storage.take(holder(1), 0)
      expect(yield* as(1, hold(storage, holderIsDead, Effect.succeed), 2)).toBe(2)
      yield* as(3, storage.take(holder(3), 2))
      expect(yield* Effect.flip(as(2, holding(storage)))).toMatchObject(isTakenBy(3))
      kill(3)
      expect(yield* as(2, hold(storage, holderIsDead, Effect.succeed))).toBe(4)
    }))

  test("that was lost ends the use at the next renewal, and is not given back a second time", (storage) =>
    Effect.gen(function* () {
      const { as, kill } = makeMachine()
      const stopped = yield* as(1, holding(storage))
      yield* TestClock.adjust("3 seconds")
      kill(1)
      const second = yield* as(2, holding(storage))
      expect(Option.isNone(yield* Fiber.poll(stopped))).toBe(true)
      yield* TestClock.adjust("2 seconds")
      expect(yield* Effect.flip(Fiber.join(stopped))).toMatchObject(isTakenBy(2))
      expect(yield* storage.read).toMatchObject({ term: 2, holder: holder(2) })
      yield* Fiber.interrupt(second)
    }))

  test("is kept while the storage cannot be written", (storage) =>
    Effect.gen(function* () {
      const { as } = makeMachine()
      let isFull = true
      let renewals = 0
      const renew = (term: number) =>
        Effect.suspend(() => {
          renewals++
          return isFull ? Effect.fail("the disk is full") : storage.renew(term)
        })
      const fiber = yield* as(1, holding({ ...storage, renew }))
      yield* TestClock.adjust("9 seconds")
      isFull = false
      yield* TestClock.adjust("4 seconds")
      expect(renewals).toBe(6)
      expect(Option.isNone(yield* Fiber.poll(fiber))).toBe(true)
      yield* Fiber.interrupt(fiber)
    }))
})

describe.each([
  ["of a supervisor", ofSupervisor],
  ["of the sender of notes", ofSender]
] as const)("the heartbeat %s", (_, makeStorage) => {
  /** An observer, process 2, that may take the lease over after 20 s, and process 1, which holds it. */
  const test = (
    name: string,
    run: (lab: {
      readonly storage: LeaseStorage<unknown>
      /** Looks each second for so many seconds: whether it may take over. */
      readonly look: (seconds: number) => Effect.Effect<boolean, unknown>
    }) => Effect.Effect<void, unknown>
  ) =>
    it.scoped(name, () =>
      Effect.gen(function* () {
        const storage = yield* makeStorage
        const { as } = makeMachine()
        yield* as(1, storage.take(holder(1), 0))
        const mayTakeOver = holderIsDeadOrStill(makeStillness(), Duration.seconds(20))
        const once = as(2, Effect.flatMap(storage.read, mayTakeOver))
        const look = (seconds: number) =>
          Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), once), seconds - 1)
        yield* once
        yield* run({ storage, look })
      })
    )

  test("stands still for as long as the observer saw no renewal", ({ look, storage }) =>
    Effect.gen(function* () {
      expect(yield* look(19)).toBe(false)
      expect(yield* storage.renew(1)).toBe(true)
      expect(yield* look(20)).toBe(false)
      expect(yield* look(1)).toBe(true)
    }))

  test("of the next term is a sign of life", ({ look, storage }) =>
    Effect.gen(function* () {
      yield* look(19)
      yield* storage.take(holder(1), 1)
      expect(yield* look(20)).toBe(false)
    }))

  test("does not stand still while the observer itself does", ({ look }) =>
    Effect.gen(function* () {
      yield* look(10)
      yield* TestClock.adjust("1 hour")
      expect(yield* look(1)).toBe(false)
      expect(yield* look(5)).toBe(true)
    }))

  test("is not timed by the wall clock, in whichever direction that jumps", ({ look, storage }) =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      const at = (millis: number): Clock.Clock => ({
        ...clock,
        currentTimeMillis: Effect.succeed(millis),
        unsafeCurrentTimeMillis: () => millis
      })
      for (const day of [2, -2, 1, -1]) {
        expect(yield* Effect.withClock(storage.renew(1), at(day * 86_400_000))).toBe(true)
        expect(yield* look(19)).toBe(false)
      }
      expect(yield* look(2)).toBe(true)
    }))
})

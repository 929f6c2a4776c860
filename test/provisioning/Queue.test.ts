import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import type { Plan } from "../../src/domain/Plan.js"
import { runJob } from "../../src/recipe/RunJob.js"
import { Steps } from "../../src/recipe/Steps.js"
import { UptimeMemory } from "../../src/testing.js"
import {
  extensionOf,
  id,
  lineOf,
  passTimeUntil,
  plan,
  platform,
  type WorldOptions,
  world
} from "../support/inMemory.js"

const work = Effect.flatMap(Steps, (steps) =>
  steps.job("work", { schema: Schema.Number, stop: "group" }, (job) =>
    runJob(job, { program: "work", args: [], stop: "group" })
  )
)

/** A world whose jobs go on until `go` is completed. */
const busy = (options: Partial<WorldOptions> = {}) =>
  Effect.gen(function* () {
    const go = yield* Deferred.make<void>()
    const made = yield* world({
      extensions: [extensionOf(work)],
      program: () => Effect.as(Deferred.await(go), 0),
      ...options
    })
    const events = (n: number) => Effect.orDie(made.store.events(id(n), 0))
    return {
      ...made,
      go: Deferred.succeed(go, undefined),
      /** Lets time pass until the nth sandbox has an event of a type. */
      until: (n: number, type: string) =>
        Effect.repeat(TestClock.adjust("100 millis"), {
          until: () => Effect.map(events(n), (all) => all.some((event) => event.type === type))
        }),
      queued: (n: number) =>
        Effect.map(events(n), (all) =>
          all.flatMap(({ message, type }) => (type === "queued" ? [message] : []))
        ),
      types: (n: number) => Effect.map(events(n), (all) => all.map(({ type }) => type)),
      running: (count: number) =>
        Effect.repeat(TestClock.adjust("100 millis"), {
          until: () => Effect.map(made.host.running, ({ length }) => length === count)
        }),
      claimants: Effect.map(lineOf(made.store, "name/demo"), (all) => all.map((one) => one.id))
    }
  })

const demo = { locks: [{ key: "name/demo", what: "the name demo" }] }
const waiting = (more: Partial<Plan> = {}) => plan({ ...demo, ...more })

describe("the queue", () => {
  it.scoped("serves the first claim first and reports who holds the resource and the position", () =>
    Effect.gen(function* () {
      const made = yield* busy()
      yield* Effect.forEach([1, 2, 3], (n) => made.record(n, waiting()))
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* made.running(1)
      const second = yield* Effect.fork(made.supervise(2, 2))
      yield* made.until(2, "queued")
      const third = yield* Effect.fork(made.supervise(3, 3))
      yield* made.until(3, "queued")
      expect(yield* made.host.running).toHaveLength(1)
      expect((yield* made.get(2)).phase?.name).toBe("queue")
      expect(yield* made.queued(2)).toEqual([`queue: 2nd for the name demo, after n1 (${id(1)})`])
      expect(yield* made.claimants).toEqual([id(1), id(2), id(3)])
      yield* made.go
      yield* Effect.forEach([first, second, third], passTimeUntil)
      expect((yield* made.queued(3))[0]).toBe(`queue: 3rd for the name demo, after n1 (${id(1)})`)
      expect((yield* made.types(1)).includes("queued")).toBe(false)
      for (const n of [1, 2, 3]) expect((yield* made.get(n)).state).toBe("ready")
      expect(yield* made.claimants).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("serves the earliest request first, whichever supervisor came first", () =>
    Effect.gen(function* () {
      const made = yield* busy()
      yield* Effect.forEach([1, 2, 3], (n) => made.record(n, waiting()))
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* made.running(1)
      const third = yield* Effect.fork(made.supervise(3, 3))
      yield* made.until(3, "queued")
      const second = yield* Effect.fork(made.supervise(2, 2))
      yield* made.until(2, "queued")
      expect(yield* made.claimants).toEqual([id(1), id(2), id(3)])
      yield* made.go
      yield* Effect.forEach([first, second, third], passTimeUntil)
      const { events } = yield* made.store.allEvents(0)
      const ended = events.filter(({ type }) => type === "ready").map(({ sandboxId }) => sandboxId)
      expect(ended).toEqual([id(1), id(2), id(3)])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("lets as many provisions run on a host as it has slots", () =>
    Effect.gen(function* () {
      const connection = { host: "h", port: null, user: null, identityFile: null }
      const made = yield* busy({ settings: { hosts: { elsewhere: { connection, slots: 2 } } } })
      const all = [1, 2, 3]
      yield* Effect.forEach(all, (n) => made.record(n, plan({ lockTimeoutSeconds: 5 })))
      const fibers = yield* Effect.forEach([1, 2], (n) => Effect.fork(made.supervise(n, n)))
      yield* made.running(2)
      yield* passTimeUntil(yield* Effect.fork(made.supervise(3, 3)))
      const { failure } = yield* made.get(3)
      expect(failure).toMatchObject({
        reason: "host-full",
        message: `a slot on elsewhere was not free within 5 s: n1 (${id(1)}), n2 (${id(2)}) hold it`
      })
      yield* made.go
      yield* Effect.forEach(fibers, passTimeUntil)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("can be left by the time limit and by a cancel", () =>
    Effect.gen(function* () {
      const made = yield* busy()
      yield* made.record(1, waiting())
      yield* made.record(2, waiting({ lockTimeoutSeconds: 30 }))
      yield* made.record(3, waiting())
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* made.running(1)
      yield* passTimeUntil(yield* Effect.fork(made.supervise(2, 2)))
      expect((yield* made.get(2)).failure).toMatchObject({
        reason: "locked",
        message: `the name demo was not free within 30 s: n1 (${id(1)}) holds it`
      })
      const third = yield* Effect.fork(made.supervise(3, 3))
      yield* made.until(3, "queued")
      yield* made.store.requestCancel(id(3))
      yield* passTimeUntil(third)
      expect((yield* made.get(3)).state).toBe("cancelled")
      expect(yield* made.claimants).toEqual([id(1)])
      yield* Fiber.interrupt(first)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("does not count towards the timeout, and restarts the dead supervisor of a holder", () =>
    Effect.gen(function* () {
      const made = yield* busy()
      yield* made.record(1, waiting())
      yield* made.record(2, waiting({ timeoutSeconds: 20 }))
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* made.running(1)
      yield* Fiber.interrupt(first)
      const second = yield* Effect.fork(made.supervise(2, 2))
      yield* made.until(2, "queued")
      yield* TestClock.adjust("40 seconds")
      expect(made.starts).toContain(id(1))
      expect(yield* made.claimants).toEqual([id(1), id(2)])
      yield* made.go
      yield* passTimeUntil(yield* Effect.fork(made.supervise(1, 3)))
      yield* passTimeUntil(second)
      expect((yield* made.get(2)).state).toBe("ready")
    }).pipe(Effect.provide(platform))
  )
})

describe("a clock that jumps between two supervisors", () => {
  it.scoped.each([
    ["forward", 3_600_000],
    ["back", -3_600_000]
  ] as const)("%s does not change the remaining time", ([, jump]) =>
    Effect.gen(function* () {
      let uptime = 100
      const made = yield* busy({ uptime: UptimeMemory.layer({ seconds: Effect.sync(() => uptime) }) })
      yield* TestClock.setTime(10_000_000)
      yield* made.record(1, plan({ timeoutSeconds: 20 }))
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* made.running(1)
      yield* Fiber.interrupt(first)
      uptime += 12
      yield* TestClock.setTime(10_000_000 + jump)
      const second = yield* Effect.fork(made.supervise(1, 2))
      yield* made.until(1, "taken-over")
      yield* TestClock.adjust("6 seconds")
      expect((yield* made.get(1)).state).toBe("provisioning")
      yield* TestClock.adjust("3 seconds")
      yield* passTimeUntil(second)
      expect((yield* made.get(1)).failure?.reason).toBe("timed-out")
    }).pipe(Effect.provide(platform))
  )
})

/** What failed is tried again, as the plan has it or when it is asked for; and limits on phases and silence. */
import { existsSync, readdirSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { requestedAgain } from "../../src/domain/events/Event.js"
import { ProvisionError } from "../../src/domain/Failure.js"
import type { Plan } from "../../src/domain/Plan.js"
import { Provision } from "../../src/recipe/Provision.js"
import { Reporter } from "../../src/recipe/Reporter.js"
import { runJob } from "../../src/recipe/RunJob.js"
import { Steps } from "../../src/recipe/Steps.js"
import { extensionOf, id, passTimeUntil, plan, platform, type World, world } from "../support/inMemory.js"

const failsWith = (reason: ProvisionError["reason"]) =>
  new ProvisionError({ reason, message: "it did not come", hint: "look" })

/** A recipe that prints its attempt, and fails so often. */
const failing = (times: number, reason: ProvisionError["reason"] = "download-failed") => {
  const tried: Array<number> = []
  const recipe = Effect.gen(function* () {
    const { attempt, secrets } = yield* Provision
    const reporter = yield* Reporter
    const steps = yield* Steps
    tried.push(attempt)
    yield* reporter.phase("fetch")
    yield* reporter.output([{ job: "work", end: 10, text: `attempt ${attempt}`, complete: true }])
    expect(Redacted.value(secrets.password ?? Redacted.make(""))).toBe("hunter2-hunter2")
    expect(yield* steps.step("attempt", Schema.Number, Effect.succeed(attempt))).toBe(attempt)
    if (tried.length <= times) return yield* failsWith(reason)
  })
  return { recipe, tried }
}

const retry = { times: 2, on: ["download-failed"], backoffSeconds: 10 } as const
const secrets = { password: Redacted.make("hunter2-hunter2") }

const types = (made: World) => Effect.map(made.store.events(id(1), 0), (all) => all.map(({ type }) => type))
const recorded = (recipe: Parameters<typeof extensionOf>[0], fields: Partial<Plan>) =>
  Effect.gen(function* () {
    const made = yield* world({ extensions: [extensionOf(recipe)] })
    yield* made.record(1, plan(fields), secrets)
    return made
  })

describe("a plan with retries", () => {
  it.scoped("starts a new attempt with its own log and folder and the same secrets", () =>
    Effect.gen(function* () {
      const { recipe, tried } = failing(2)
      const made = yield* recorded(recipe, { retry })
      yield* passTimeUntil(yield* Effect.fork(made.supervise(1)))
      expect(tried).toEqual([1, 2, 3])
      expect(yield* made.get(1)).toMatchObject({ state: "ready", attempt: 3, failure: null })
      expect(yield* types(made)).toEqual(
        [
          ["requested"],
          ["provisioning", "phase", "retrying"],
          ["provisioning", "phase", "retrying"],
          ["provisioning", "phase", "ready"]
        ].flat()
      )
      expect(yield* made.secrets.get(id(1), 1)).toEqual({})
    }).pipe(Effect.provide(platform))
  )

  it.scoped("waits longer after each attempt", () =>
    Effect.gen(function* () {
      const made = yield* recorded(failing(2).recipe, { retry })
      yield* passTimeUntil(yield* Effect.fork(made.supervise(1)))
      const begins = (yield* made.store.events(id(1), 0)).filter(({ type }) => type === "provisioning")
      const [first = 0, second = 0, third = 0] = begins.map(({ time }) => Number(time.epochMillis) / 1000)
      expect(second - first).toBeGreaterThanOrEqual(10)
      expect(third - second).toBeGreaterThanOrEqual(20)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("fails after the last attempt, and at once for a reason that is not listed", () =>
    Effect.gen(function* () {
      const always = failing(9)
      const one = yield* recorded(always.recipe, { retry })
      yield* passTimeUntil(yield* Effect.fork(one.supervise(1)))
      expect(always.tried).toEqual([1, 2, 3])
      expect(yield* one.get(1)).toMatchObject({ state: "failed", failure: { reason: "download-failed" } })

      const other = failing(9, "provisioner-failed")
      const two = yield* recorded(other.recipe, { retry })
      yield* two.supervise(1)
      expect(other.tried).toEqual([1])
      expect(yield* two.get(1)).toMatchObject({ state: "failed", attempt: 1 })
    }).pipe(Effect.provide(platform))
  )

  it.scoped("can be cancelled while it waits for the next attempt", () =>
    Effect.gen(function* () {
      const { recipe, tried } = failing(9)
      const made = yield* recorded(recipe, { retry: { ...retry, backoffSeconds: 3600 } })
      const fiber = yield* Effect.fork(made.supervise(1))
      yield* Effect.repeat(TestClock.adjust("1 second"), {
        until: () => Effect.map(types(made), (all) => all.includes("retrying"))
      })
      yield* made.store.requestCancel(id(1))
      yield* passTimeUntil(fiber)
      expect(tried).toEqual([1])
      expect((yield* made.get(1)).state).toBe("cancelled")
    }).pipe(Effect.provide(platform))
  )
})

describe("an attempt that the user requests", () => {
  it.scoped("keeps the log of the previous attempt", () =>
    Effect.gen(function* () {
      const { recipe } = failing(1)
      const made = yield* recorded(recipe, {})
      yield* made.supervise(1)
      const before = yield* made.get(1)
      expect(before).toMatchObject({ state: "failed", attempt: 1 })
      const event = requestedAgain(2, before.logPath)
      yield* made.secrets.put(id(1), 2, secrets)
      expect(yield* made.store.beginAttempt(id(1), 2, event)).toBe(true)
      expect(yield* made.store.beginAttempt(id(1), 2, event)).toBe(false)
      yield* made.supervise(1, 2)
      const after = yield* made.get(1)
      expect(after).toMatchObject({ state: "ready", attempt: 2, failure: null })
      expect(after.logPath).not.toBe(before.logPath)
      expect(readdirSync(`${made.home}/logs`)).toHaveLength(2)
      expect(existsSync(before.logPath ?? "")).toBe(true)
    }).pipe(Effect.provide(platform))
  )
})

describe("a limit", () => {
  /** A recipe that enters a phase, and then does nothing any more. */
  const silent = Effect.gen(function* () {
    const reporter = yield* Reporter
    const steps = yield* Steps
    yield* reporter.phase("boot")
    return yield* steps.job("work", { schema: Schema.Number, stop: "group" }, (job) =>
      runJob(job, { program: "work", args: [], stop: "group" })
    )
  })
  const stuck = (fields: Partial<Plan>) =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const made = yield* world({
        extensions: [extensionOf(silent)],
        program: () => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
      })
      yield* made.record(1, plan(fields))
      const fiber = yield* Effect.fork(made.supervise(1))
      yield* Deferred.await(begun)
      yield* passTimeUntil(fiber)
      expect(yield* made.host.running).toEqual([])
      return yield* made.get(1)
    })

  it.scoped("on a phase fails the build and names the phase", () =>
    Effect.gen(function* () {
      expect((yield* stuck({ phaseTimeouts: { boot: 30, fetch: 1 } })).failure).toMatchObject({
        reason: "timed-out",
        message: "phase boot took longer than 30 s"
      })
    }).pipe(Effect.provide(platform))
  )

  it.scoped("on a phase continues across a take-over", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const made = yield* world({
        extensions: [extensionOf(silent)],
        program: () => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
      })
      yield* made.record(1, plan({ phaseTimeouts: { boot: 30 } }))
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* Deferred.await(begun)
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.interrupt(first)
      const second = yield* Effect.fork(made.supervise(1, 2))
      yield* TestClock.adjust("8 seconds")
      expect((yield* made.get(1)).state).toBe("provisioning")
      yield* TestClock.adjust("4 seconds")
      yield* passTimeUntil(second)
      const { endedAt, failure } = yield* made.get(1)
      expect(failure).toMatchObject({ reason: "timed-out", message: "phase boot took longer than 30 s" })
      expect(endedAt?.epochMillis).toBeLessThan(40_000)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("on silence fails the build if the profile asks for it", () =>
    Effect.gen(function* () {
      expect((yield* stuck({ stallSeconds: 60, stallCancels: true })).failure).toMatchObject({
        reason: "stalled",
        message: "nothing was printed for 1 min 00 s, in phase boot"
      })
    }).pipe(Effect.provide(platform))
  )
})

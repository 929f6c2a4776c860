import { existsSync, readdirSync, readFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { cancelled } from "../../src/domain/events/Event.js"
import { ProvisionError } from "../../src/domain/Failure.js"
import { join } from "../../src/domain/HostPath.js"
import { Host, HostError, Hosts } from "../../src/hosts/Host.js"
import { StateHub } from "../../src/hub/client/StateHub.js"
import { supervise } from "../../src/provisioning/Supervision.js"
import { Reporter } from "../../src/recipe/Reporter.js"
import { runJob } from "../../src/recipe/RunJob.js"
import { Steps } from "../../src/recipe/Steps.js"
import {
  extensionOf,
  id,
  passTimeUntil,
  plan,
  platform,
  publish,
  takeLease,
  type World,
  world
} from "../support/inMemory.js"

/** A recipe with one long job; `begun` is completed when that runs. */
const work = Effect.flatMap(Steps, (steps) =>
  steps.job("work", { schema: Schema.Number, stop: "group" }, (job) =>
    runJob(job, { program: "work", args: [], stop: "group" })
  )
)

const publishAndWork = Effect.zipRight(publish, work)

/** A world whose jobs tell that they run, and go on until they are told to end. */
const busyWorld = (recipe: typeof work | typeof publishAndWork) =>
  Effect.gen(function* () {
    const begun = yield* Deferred.make<void>()
    const made = yield* world({
      extensions: [extensionOf(recipe)],
      program: (_, { print }) =>
        print("working\n").pipe(
          Effect.zipRight(Deferred.succeed(begun, undefined)),
          Effect.zipRight(Effect.never)
        )
    })
    return { ...made, begun: Deferred.await(begun) }
  })

const events = ({ store }: World, n = 1) => Effect.orDie(store.events(id(n), 0))
const types = (made: World, n = 1) => Effect.map(events(made, n), (all) => all.map(({ type }) => type))

/** Nothing of the nth provision is left but what is to be kept. */
const expectCleanedUp = (made: World, n = 1) =>
  Effect.gen(function* () {
    expect(yield* made.host.running).toEqual([])
    expect([...made.host.files.keys()].filter((file) => file.includes(id(n)))).toEqual([])
    expect(yield* made.host.info(join(made.host.home, "jobs", id(n)))).toBeUndefined()
    expect(yield* made.secrets.get(id(n), 1)).toEqual({})
    expect((yield* made.store.lease(id(n)).read).holder).toBeNull()
  })

const secrets = { password: Redacted.make("hunter2-hunter2") }

describe("a supervisor", () => {
  it.scoped("takes a provision to its end", () =>
    Effect.gen(function* () {
      const made = yield* world({ extensions: [extensionOf(Effect.void)] })
      yield* TestClock.setTime(5000)
      yield* made.record(1, plan({ ttlSeconds: 60 }), secrets)
      yield* made.supervise(1)
      const { endedAt, expiresAt, failure, readyAt, state } = yield* made.get(1)
      expect(state).toBe("ready")
      expect(failure).toBeNull()
      expect(endedAt).toEqual(readyAt)
      expect(expiresAt).toEqual(DateTime.add(DateTime.unsafeMake(5000), { seconds: 60 }))
      expect(yield* types(made)).toEqual(["requested", "provisioning", "ready"])
      yield* expectCleanedUp(made)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("does nothing for a sandbox that has ended or does not exist", () =>
    Effect.gen(function* () {
      const made = yield* world({ extensions: [extensionOf(Effect.die("it ran"))] })
      yield* made.record(1, plan())
      yield* made.store.transition(
        id(1),
        ["requested"],
        { state: "cancelled" },
        cancelled(1, { jobs: 0, killed: 0, left: 0 })
      )
      const before = yield* events(made)
      yield* made.supervise(1)
      expect(yield* events(made)).toEqual(before)
      const error = yield* Effect.flip(made.supervise(2))
      expect(error.message).toContain(id(2))
    }).pipe(Effect.provide(platform))
  )

  it.scoped("ends at once if another supervisor may be alive", () =>
    Effect.gen(function* () {
      const made = yield* busyWorld(work)
      yield* made.record(1, plan())
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* made.begun
      yield* made.supervise(1, 2)
      expect((yield* made.store.lease(id(1)).read).holder?.pid).toBe(1)
      expect((yield* made.get(1)).state).toBe("provisioning")
      yield* Fiber.interrupt(first)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("renews its heartbeat", () =>
    Effect.gen(function* () {
      const made = yield* busyWorld(work)
      yield* made.record(1, plan())
      const fiber = yield* Effect.fork(made.supervise(1))
      yield* made.begun
      const heartbeat = Effect.map(made.store.lease(id(1)).read, (lease) => lease.heartbeat)
      const before = yield* heartbeat
      yield* TestClock.adjust("10 seconds")
      expect(yield* heartbeat).toBeGreaterThanOrEqual(before + 4)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("leaves its Jobs running when it is interrupted, so that another one can follow them", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const made = yield* world({
        extensions: [extensionOf(work)],
        program: (_, { print }) =>
          print("one\n").pipe(
            Effect.zipRight(Deferred.succeed(begun, undefined)),
            Effect.zipRight(Deferred.await(go)),
            Effect.zipRight(print("two\n")),
            Effect.as(0)
          )
      })
      yield* made.record(1, plan())
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(first)
      expect((yield* made.store.lease(id(1)).read).holder).toBeNull()
      expect(yield* made.host.running).toHaveLength(1)
      const second = yield* Effect.fork(made.supervise(1, 2))
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(second)
      const { logPath, state } = yield* made.get(1)
      expect(state).toBe("ready")
      expect(made.host.commands).toHaveLength(1)
      expect(yield* types(made)).toEqual(["requested", "provisioning", "taken-over", "ready"])
      expect(readFileSync(logPath ?? "", "utf8")).toBe("one\ntwo\n")
      // The log of the term before has gone into it.
      expect(readdirSync(`${made.home}/logs`)).toEqual([`${id(1)}.2.log`])
      yield* expectCleanedUp(made)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("writes nothing after its lease is lost", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const recipe = Effect.gen(function* () {
        const reporter = yield* Reporter
        const steps = yield* Steps
        const host = yield* Host
        yield* reporter.phase("preflight")
        yield* host.write(join(steps.folder, "mine"), "of the attempt")
        yield* Deferred.succeed(begun, undefined)
        yield* Deferred.await(go)
        yield* reporter.phase("boot")
        yield* steps.step("later", Schema.Void, Effect.void)
      })
      const made = yield* world({ extensions: [extensionOf(recipe)] })
      yield* made.record(1, plan(), secrets)
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* Deferred.await(begun)
      const lease = yield* takeLease(
        made.store,
        id(1),
        { machine: "m", bootId: "b", pid: 2, startTime: 0 },
        1
      )
      const kept = Effect.all([
        made.store.get(id(1)),
        made.store.events(id(1), 0),
        made.store.steps(id(1), 1),
        made.store.log(id(1)),
        made.store.lease(id(1)).read,
        made.secrets.get(id(1), 1),
        Effect.sync(() => [...made.host.files.keys()])
      ])
      const before = yield* kept
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(first)
      expect(lease?.term).toBe(2)
      expect(yield* kept).toEqual(before)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("stops working when a heartbeat finds the lease lost", () =>
    Effect.gen(function* () {
      const made = yield* busyWorld(work)
      yield* made.record(1, plan())
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* made.begun
      yield* takeLease(made.store, id(1), { machine: "m", bootId: "b", pid: 2, startTime: 0 }, 1)
      yield* passTimeUntil(first)
      expect(yield* made.host.running).toHaveLength(1)
      expect((yield* made.get(1)).state).toBe("provisioning")
    }).pipe(Effect.provide(platform))
  )
})

describe("a cancelled provision", () => {
  it.scoped("ends with the proof that nothing runs, and withdraws what it published", () =>
    Effect.gen(function* () {
      const made = yield* busyWorld(publishAndWork)
      yield* made.record(1, plan({ ttlSeconds: 60 }), secrets)
      const fiber = yield* Effect.fork(made.supervise(1))
      yield* made.begun
      const [artifact] = (yield* made.get(1)).artifacts
      expect(existsSync(artifact?.path ?? "")).toBe(true)
      yield* made.store.requestCancel(id(1))
      yield* passTimeUntil(fiber)
      const { artifacts, endedAt, expiresAt, readyAt, state } = yield* made.get(1)
      expect({ artifacts, readyAt, state }).toEqual({ artifacts: [], readyAt: null, state: "cancelled" })
      expect(endedAt).not.toBeNull()
      expect(expiresAt).not.toBeNull()
      expect(readdirSync(`${made.home}/artifacts/demo`)).toEqual([])
      const all = yield* events(made)
      expect(all.map(({ type }) => type)).toEqual([
        "requested",
        "provisioning",
        "artifact",
        "cancelling",
        "cancelled"
      ])
      // It ended when it was told to, so none had to be killed.
      expect(all.at(-1)?.data).toEqual({ proof: { jobs: 1, killed: 0, left: 0 } })
      yield* expectCleanedUp(made)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("does not start if the cancel came first", () =>
    Effect.gen(function* () {
      const made = yield* busyWorld(work)
      yield* made.record(1, plan())
      yield* made.store.requestCancel(id(1))
      yield* passTimeUntil(yield* Effect.fork(made.supervise(1)))
      expect((yield* made.get(1)).state).toBe("cancelled")
      yield* expectCleanedUp(made)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is cancelled by the next supervisor if its own died", () =>
    Effect.gen(function* () {
      const made = yield* busyWorld(work)
      yield* made.record(1, plan())
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* made.begun
      yield* Fiber.interrupt(first)
      yield* made.store.requestCancel(id(1))
      yield* passTimeUntil(yield* Effect.fork(made.supervise(1, 2)))
      expect((yield* made.get(1)).state).toBe("cancelled")
      expect((yield* events(made)).at(-1)?.data).toEqual({ proof: { jobs: 1, killed: 0, left: 0 } })
      yield* expectCleanedUp(made)
    }).pipe(Effect.provide(platform))
  )
})

describe("a failed provision", () => {
  const failing = (recipe: Parameters<typeof extensionOf>[0]) =>
    Effect.gen(function* () {
      const made = yield* world({ extensions: [extensionOf(recipe)] })
      yield* made.record(1, plan({ ttlSeconds: 60 }), secrets)
      yield* made.supervise(1)
      yield* expectCleanedUp(made)
      expect((yield* events(made)).at(-1)?.type).toBe("failed")
      const { endedAt, expiresAt, failure, readyAt, state } = yield* made.get(1)
      expect({ readyAt, state }).toEqual({ readyAt: null, state: "failed" })
      expect(expiresAt).toEqual(DateTime.add(endedAt ?? DateTime.unsafeMake(0), { seconds: 60 }))
      return failure
    }).pipe(Effect.provide(platform))

  it.scoped("records the reason, the hint and the last lines of the log", () =>
    Effect.gen(function* () {
      const failure = yield* failing(
        Effect.gen(function* () {
          const reporter = yield* Reporter
          const lines = Array.from({ length: 30 }, (_, n) => `line ${n} hunter2-hunter2`)
          yield* reporter.output(lines.map((text, n) => ({ job: "j", text, end: n + 1, complete: true })))
          return yield* new ProvisionError({
            reason: "build-failed",
            message: "it said hunter2-hunter2",
            hint: "do not say hunter2-hunter2"
          })
        })
      )
      expect(failure).toMatchObject({
        reason: "build-failed",
        message: "it said [redacted]",
        hint: "do not say [redacted]"
      })
      expect(failure?.logTail).toHaveLength(20)
      expect(failure?.logTail.at(-1)).toBe("line 29 [redacted]")
    })
  )

  it.scoped("records the last lines of the log even if another supervisor wrote them", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const made = yield* world({
        extensions: [
          extensionOf(
            Effect.flatMap(
              work,
              () => new ProvisionError({ reason: "build-failed", message: "it failed", hint: "see the log" })
            )
          )
        ],
        program: (_, { print }) =>
          print("why it failed\n").pipe(
            Effect.zipRight(Deferred.succeed(begun, undefined)),
            Effect.zipRight(Deferred.await(go)),
            Effect.as(1)
          )
      })
      yield* made.record(1, plan())
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* Deferred.await(begun)
      const logged = Effect.map(made.store.log(id(1)), (log) => (log?.length ?? 0) > 0)
      yield* Effect.repeat(TestClock.adjust("100 millis"), { until: () => logged })
      yield* Fiber.interrupt(first)
      const second = yield* Effect.fork(made.supervise(1, 2))
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(second)
      expect((yield* made.get(1)).failure?.logTail).toEqual(["why it failed"])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is reported as a bug if the recipe dies with a defect", () =>
    Effect.gen(function* () {
      const failure = yield* failing(Effect.die(new Error("nobody thought of it, hunter2-hunter2")))
      expect(failure?.reason).toBe("internal")
      expect(failure?.message).toContain("nobody thought of it, [redacted]")
    })
  )

  it.effect.each([
    ["unreachable", "host-unreachable"],
    ["program-missing", "command-missing"],
    ["disk-full", "disk-full"],
    ["not-permitted", "host-files"]
  ] as const)("names the problem with the host: %s", ([reason, expected]) =>
    Effect.scoped(
      Effect.map(
        failing(new HostError({ reason, host: "elsewhere", message: "the host", hint: "mend it" })),
        (failure) => expect(failure).toMatchObject({ reason: expected, message: "the host", hint: "mend it" })
      )
    )
  )

  it.scoped("fails if the extension or mode does not exist", () =>
    Effect.gen(function* () {
      const made = yield* world({ extensions: [extensionOf(Effect.void)] })
      yield* made.record(1, plan({ extension: "ext.other" }))
      yield* made.record(2, plan({ mode: "other" }))
      for (const n of [1, 2]) {
        yield* made.supervise(n)
        const { failure } = yield* made.get(n)
        expect(failure?.reason).toBe("internal")
        expect(failure?.message).toContain("other")
      }
    }).pipe(Effect.provide(platform))
  )

  it.scoped("removes the secrets even if there is no host", () =>
    Effect.gen(function* () {
      const made = yield* world({ extensions: [extensionOf(Effect.void)] })
      yield* made.record(1, plan(), secrets)
      const gone = Layer.succeed(Hosts, {
        get: () =>
          new HostError({ reason: "unreachable", host: "gone", message: "no host is called gone", hint: "h" })
      })
      yield* Effect.provide(supervise(id(1)), Layer.merge(made.services(1), gone))
      const { failure, state } = yield* made.get(1)
      expect({ state, reason: failure?.reason }).toEqual({ state: "failed", reason: "host-unreachable" })
      expect(yield* made.secrets.get(id(1), 1)).toEqual({})
    }).pipe(Effect.provide(platform))
  )
})

it.scoped(
  "a failed provision leaves nothing, wherever its supervisor died",
  () =>
    Effect.gen(function* () {
      const failing = Effect.zipRight(
        publish,
        new ProvisionError({ reason: "build-failed", message: "m", hint: "h" })
      )
      const dying = (calls: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            const made = yield* world({ extensions: [extensionOf(failing)] })
            yield* made.record(1, plan(), secrets)
            const died = yield* made.superviseAndDie(1, 1, calls)
            yield* made.supervise(1, 2)
            const { artifacts, failure } = yield* made.get(1)
            expect({ artifacts, reason: failure?.reason }).toEqual({ artifacts: [], reason: "build-failed" })
            expect((yield* types(made)).filter((type) => type !== "taken-over")).toEqual([
              "requested",
              "provisioning",
              "artifact",
              "failed"
            ])
            expect(readdirSync(`${made.home}/artifacts/demo`)).toEqual([])
            expect(readdirSync(`${made.home}/logs`)).toHaveLength(1)
            yield* expectCleanedUp(made)
            return died
          })
        )
      const survived = yield* Effect.iterate(
        { calls: 0, died: true },
        {
          while: ({ died }) => died,
          body: ({ calls }) => Effect.map(dying(calls), (died) => ({ calls: calls + 1, died }))
        }
      )
      expect(survived.calls).toBeGreaterThan(30)
    }).pipe(Effect.provide(platform)),
  60_000
)

describe("a provision past its timeout", () => {
  it.scoped("fails as timed-out", () =>
    Effect.gen(function* () {
      const made = yield* busyWorld(publishAndWork)
      yield* made.record(1, plan({ timeoutSeconds: 10 }), secrets)
      const fiber = yield* Effect.fork(made.supervise(1))
      yield* made.begun
      yield* TestClock.adjust("9 seconds")
      expect((yield* made.get(1)).state).toBe("provisioning")
      yield* passTimeUntil(fiber)
      const { artifacts, failure, state } = yield* made.get(1)
      expect({ artifacts, state }).toEqual({ artifacts: [], state: "failed" })
      expect(failure).toMatchObject({ reason: "timed-out", message: "it took longer than 10 s" })
      expect(failure?.logTail).toEqual(["working"])
      yield* expectCleanedUp(made)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("gets no extra time from a take-over", () =>
    Effect.gen(function* () {
      const made = yield* busyWorld(work)
      yield* made.record(1, plan({ timeoutSeconds: 20 }))
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* made.begun
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.interrupt(first)
      const second = yield* Effect.fork(made.supervise(1, 2))
      // It is at work when its lease is there.
      yield* Effect.repeat(TestClock.adjust("1 second"), {
        until: () => Effect.map(made.store.lease(id(1)).read, ({ heartbeat }) => heartbeat > 0)
      })
      yield* TestClock.setTime(19_000)
      expect((yield* made.get(1)).state).toBe("provisioning")
      yield* passTimeUntil(second)
      expect((yield* made.get(1)).failure?.reason).toBe("timed-out")
      const ended = (yield* made.get(1)).endedAt
      expect(DateTime.toEpochMillis(ended ?? DateTime.unsafeMake(0))).toBeLessThan(25_000)
    }).pipe(Effect.provide(platform))
  )
})

describe("the State Hub", () => {
  it.scoped("receives every event in order", () =>
    Effect.gen(function* () {
      const made = yield* world({
        extensions: [extensionOf(Effect.flatMap(Reporter, ({ note }) => note("n", "on the way")))]
      })
      yield* made.record(1, plan({ hub: { workstream: "w", task: "t", notes: "all", everySeconds: 0 } }))
      yield* made.supervise(1)
      const notes = yield* made.notes
      expect(notes.map(({ event_type, sequence }) => [sequence, event_type])).toEqual([
        [1, "requested"],
        [2, "provisioning"],
        [3, "note"],
        [4, "ready"]
      ])
      expect(notes[2]).toMatchObject({
        id: `${id(1)}-3`,
        summary: "n1 · on the way",
        workstream_id: "w",
        task_id: "t",
        sandbox_id: id(1)
      })
    }).pipe(Effect.provide(platform))
  )

  it.scoped("delays the end by at most 5 s if it does not answer", () =>
    Effect.gen(function* () {
      const made = yield* world({ extensions: [extensionOf(Effect.void)] })
      yield* made.record(1, plan())
      const silent = Layer.succeed(StateHub, { publish: () => Effect.never })
      const fiber = yield* Effect.fork(
        Effect.provide(supervise(id(1)), Layer.merge(made.services(1), silent))
      )
      // It is ready before any time has passed; then it has five seconds to tell the hub.
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve))).pipe(
        Effect.zipRight(made.get(1)),
        Effect.repeat({ until: ({ state }) => state === "ready" })
      )
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(platform))
  )
})

it.scoped("a supervisor whose process dies logs the cause", () =>
  Effect.gen(function* () {
    const made = yield* world({ extensions: [extensionOf(Effect.void)] })
    yield* made.record(1, plan())
    const exit = yield* Effect.exit(made.supervise(1, 1, 3))
    expect(exit._tag === "Failure" && Cause.isDie(exit.cause)).toBe(true)
  }).pipe(Effect.provide(platform))
)

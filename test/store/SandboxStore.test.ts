import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { destroyed, planned, requestedAgain } from "../../src/domain/events/Event.js"
import { HostPath } from "../../src/domain/HostPath.js"
import { neverDelivered } from "../../src/domain/Outbox.js"
import { layerHome } from "../../src/settings/Settings.js"
import { type Commit, SandboxStore, type SandboxStoreShape, type Step } from "../../src/store/SandboxStore.js"
import * as Sql from "../../src/store/sql/SandboxStoreSql.js"
import {
  id,
  lineOf,
  note,
  plan,
  platform,
  requested,
  sandbox,
  takeLease,
  temporaryFolder
} from "../support/inMemory.js"

const file = Layer.unwrapScoped(
  Effect.map(temporaryFolder, (home) => Layer.provide(Sql.layer, layerHome(home)))
).pipe(Layer.provide(platform))

const stores: ReadonlyArray<readonly [string, Layer.Layer<SandboxStore, unknown>]> = [
  ["in memory", Sql.layerMemory],
  ["in a file", file]
]

const holder = (pid: number) => ({ machine: "m", bootId: "b", pid, startTime: 1 })
const step = (key: string, value: unknown = key): Step => ({ attempt: 1, key, job: null, result: { value } })

const recorded = (store: SandboxStoreShape, n: number, name: string) =>
  store.create(sandbox({ id: id(n), name }), plan(), requested)

/** Everything that is kept of a sandbox. */
const kept = (store: SandboxStoreShape) =>
  Effect.all({
    sandbox: store.get(id(1)),
    events: store.events(id(1), 0),
    steps: store.steps(id(1), 1),
    log: store.log(id(1)),
    lease: store.lease(id(1)).read,
    asked: store.cancelRequested(id(1))
  })

const messages = (store: SandboxStoreShape, n = 1) =>
  Effect.map(store.events(id(n), 0), (events) => events.map(({ message, seq }) => [seq, message]))

const everything: Commit = {
  change: { state: "provisioning" },
  events: [note("written")],
  step: step("written"),
  log: { path: "/log", length: 1, offsets: { build: 1 } }
}

describe.each(stores)("the store %s", (_, layer) => {
  const test = (name: string, run: (store: SandboxStoreShape) => Effect.Effect<void, unknown>) =>
    it.scoped(name, () => Effect.flatMap(SandboxStore, run).pipe(Effect.provide(layer)))

  test("returns what it was given", (store) =>
    Effect.gen(function* () {
      const made = sandbox({ inputs: { cpus: 2 }, ttlSeconds: 60 })
      const wanted = plan({ spec: { anything: ["at", "all"] }, secrets: { password: "env:PASSWORD" } })
      yield* store.create(made, wanted, { ...requested, time: 5000 })
      expect(yield* store.get(made.id)).toEqual(made)
      expect(yield* store.plan(made.id)).toEqual(wanted)
      expect(yield* store.list()).toEqual([made])
      expect(yield* store.events(made.id, 0)).toMatchObject([
        {
          id: `${made.id}-1`,
          sandboxId: made.id,
          seq: 1,
          time: DateTime.unsafeMake(5000),
          type: "requested",
          phase: null,
          data: { profile: "profile.test" }
        }
      ])
    }))

  test("has nothing about an unknown sandbox", (store) =>
    Effect.gen(function* () {
      expect(yield* kept(store)).toEqual({
        sandbox: undefined,
        events: [],
        steps: [],
        log: undefined,
        lease: { term: 0, holder: null, heartbeat: 0 },
        asked: false
      })
      expect(yield* store.plan(id(1))).toBeUndefined()
      expect((yield* Effect.flip(store.requestCancel(id(1)))).reason).toBe("other")
      expect((yield* Effect.flip(takeLease(store, id(1), holder(1)))).reason).toBe("other")
      expect((yield* Effect.flip(store.commit({ id: id(1), term: 1 }, everything))).reason).toBe("lease-lost")
      expect(yield* store.transition(id(1), ["ready"], { state: "destroyed" }, destroyed(undefined))).toBe(
        false
      )
      yield* store.lease(id(1)).release(1)
    }))

  test("lists the oldest first, in order of creation within one moment", (store) =>
    Effect.gen(function* () {
      for (const [n, at] of [
        [1, 2000],
        [2, 1000],
        [3, 2000]
      ] as const) {
        yield* store.create(
          sandbox({ id: id(n), name: `n${n}`, createdAt: DateTime.unsafeMake(at) }),
          plan(),
          requested
        )
      }
      expect((yield* store.list()).map(({ name }) => name)).toEqual(["n2", "n1", "n3"])
    }))

  test("gives a name to one living sandbox", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      const error = yield* Effect.flip(recorded(store, 2, "demo"))
      expect(error).toMatchObject({ _tag: "Conflict", reason: "name-taken" })
      expect(error.message).toContain(id(1))
      expect(yield* store.get(id(2))).toBeUndefined()
      expect(yield* store.events(id(2), 0)).toEqual([])
      expect(yield* store.freeName("demo")).toBe("demo-2")
      expect(yield* store.transition(id(1), ["requested"], { state: "failed" }, note("failed"))).toBe(true)
      expect(yield* store.freeName("demo")).toBe("demo")
      yield* recorded(store, 2, "demo")
      expect((yield* store.list()).map(({ state }) => state)).toEqual(["failed", "requested"])
    }))

  test("accepts an id once", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      const error = yield* Effect.flip(recorded(store, 1, "other"))
      expect(error).toMatchObject({ _tag: "StoreError", reason: "other" })
      expect((yield* store.get(id(1)))?.name).toBe("demo")
    }))

  test("gives a name to one of many creates at the same time", (store) =>
    Effect.gen(function* () {
      const results = yield* Effect.forEach(
        [1, 2, 3, 4, 5],
        (n) => Effect.either(recorded(store, n, "demo")),
        { concurrency: "unbounded" }
      )
      expect(results.filter(({ _tag }) => _tag === "Right")).toHaveLength(1)
    }))

  test("accepts writes of the newest term", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      yield* takeLease(store, id(1), holder(1))
      yield* store.commit({ id: id(1), term: 1 }, everything)
      expect(yield* kept(store)).toMatchObject({
        sandbox: { state: "provisioning" },
        events: [{ seq: 1 }, { seq: 2, message: "written" }],
        steps: [step("written")],
        log: everything.log
      })
    }))

  test("refuses an older term and writes nothing of it", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      yield* takeLease(store, id(1), holder(1))
      yield* takeLease(store, id(1), holder(2), 1)
      const before = yield* kept(store)
      for (const term of [1, 3]) {
        const error = yield* Effect.flip(store.commit({ id: id(1), term }, everything))
        expect(error).toMatchObject({ _tag: "StoreError", reason: "lease-lost" })
        expect(yield* kept(store)).toEqual(before)
      }
    }))

  test("writes a commit completely or not at all", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      yield* recorded(store, 2, "taken")
      yield* takeLease(store, id(1), holder(1))
      const before = yield* kept(store)
      const error = yield* Effect.flip(
        store.commit({ id: id(1), term: 1 }, { ...everything, change: { name: "taken" } })
      )
      expect(error).toMatchObject({ _tag: "StoreError", reason: "other" })
      expect(yield* kept(store)).toEqual(before)
    }))

  test("records the same event once and leaves no gap in the numbers", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      yield* recorded(store, 2, "other")
      yield* takeLease(store, id(1), holder(1))
      const lease = { id: id(1), term: 1 }
      yield* store.commit(lease, { events: [note("a"), { ...note("a"), message: "again" }, note("b")] })
      yield* store.commit(lease, { events: [note("b"), note("a"), requested, note("c")] })
      expect(yield* messages(store)).toEqual([
        [1, "requested"],
        [2, "a"],
        [3, "b"],
        [4, "c"]
      ])
      expect(yield* messages(store, 2)).toEqual([[1, "requested"]])
      expect((yield* store.events(id(1), 2)).map(({ seq }) => seq)).toEqual([3, 4])
      expect(yield* store.events(id(1), 4)).toEqual([])
    }))

  test("returns all events in the order in which they were written", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      yield* recorded(store, 2, "other")
      const first = yield* store.allEvents(0)
      expect(first.events.map(({ sandboxId }) => sandboxId)).toEqual([id(1), id(2)])
      expect(yield* store.allEvents(first.position)).toEqual({ events: [], position: first.position })
      yield* store.requestCancel(id(1))
      const next = yield* store.allEvents(first.position)
      expect(next.events.map(({ type }) => type)).toEqual(["cancelling"])
      expect(next.position).toBeGreaterThan(first.position)
    }))

  test("changes a state only from the given one", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      const event = destroyed(undefined)
      expect(yield* store.transition(id(1), ["ready", "failed"], { state: "destroyed" }, event)).toBe(false)
      expect((yield* store.get(id(1)))?.state).toBe("requested")
      expect(yield* messages(store)).toHaveLength(1)
      expect(yield* store.transition(id(1), ["requested"], { state: "destroyed" }, event)).toBe(true)
      expect((yield* store.get(id(1)))?.state).toBe("destroyed")
      expect(yield* messages(store)).toEqual([
        [1, "requested"],
        [2, "destroyed"]
      ])
    }))

  test("journals steps by attempt and key, in the order in which they began", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      yield* takeLease(store, id(1), holder(1))
      const lease = { id: id(1), term: 1 }
      const job = { folder: HostPath("/elsewhere/job"), stop: "group" } as const
      yield* store.commit(lease, { step: { ...step("job"), job, result: null } })
      yield* store.commit(lease, { step: step("other") })
      yield* store.commit(lease, { step: { ...step("job"), attempt: 2 } })
      yield* store.commit(lease, { step: { ...step("job", { exit: 0 }), job } })
      expect(yield* store.steps(id(1), 1)).toEqual([{ ...step("job", { exit: 0 }), job }, step("other")])
      expect(yield* store.steps(id(1), 2)).toEqual([{ ...step("job"), attempt: 2 }])
    }))

  test("records the position of the log", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      yield* takeLease(store, id(1), holder(1))
      const log = { path: "/log.1", length: 10, offsets: { build: 20 } }
      yield* store.commit({ id: id(1), term: 1 }, { log })
      yield* store.lease(id(1)).renew(1)
      expect(yield* store.log(id(1))).toEqual(log)
      yield* store.commit({ id: id(1), term: 1 }, { log: { ...log, length: 15 } })
      expect((yield* store.log(id(1)))?.length).toBe(15)
    }))

  test("records all events that it is created with", (store) =>
    Effect.gen(function* () {
      yield* store.create(sandbox(), plan(), requested, planned(plan()), planned(plan({ mode: "other" })))
      expect(yield* messages(store)).toEqual([
        [1, "requested"],
        [2, "planned: test on elsewhere"]
      ])
      expect(yield* store.identities(id(1))).toEqual(new Set(["requested", "planned"]))
      expect(yield* store.identities(id(2))).toEqual(new Set())
    }))

  test("removes a sandbox completely if it may, and says whether notes of it wait", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      yield* recorded(store, 2, "other")
      expect(yield* Effect.forEach([id(1), id(2)], store.outbox.isUnsent)).toEqual([true, true])
      const asked: Array<readonly [string, boolean]> = []
      const forget = (may: boolean) =>
        store.forget(id(1), ({ name }, waits) => {
          asked.push([name, waits])
          return may
        })
      expect(yield* forget(false)).toBe(false)
      expect(yield* messages(store)).toHaveLength(1)
      expect(yield* forget(true)).toBe(true)
      expect(yield* forget(true)).toBe(false)
      expect(asked).toEqual([
        ["demo", true],
        ["demo", true]
      ])
      expect(yield* store.get(id(1))).toBeUndefined()
      expect(yield* messages(store)).toEqual([])
      // The other one is told of all the same.
      expect(yield* Effect.forEach([id(1), id(2)], store.outbox.isUnsent)).toEqual([false, true])
      const [first, ...more] = yield* store.outbox.waiting(10)
      expect([first?.note.sandbox_id, more]).toEqual([id(2), []])
      yield* store.outbox.lease.take(holder(1), 0)
      const settlement = { refused: undefined, again: [], delivering: neverDelivered }
      yield* store.outbox.settle(1, { ...settlement, delivered: [first?.position ?? -1] })
      expect(yield* store.outbox.status).toMatchObject({ waiting: 0, delivered: 1 })
      expect(yield* store.forget(id(2), (_, waits) => !waits)).toBe(true)
    }))

  test("reports a cancel request once", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      expect(yield* store.cancelRequested(id(1))).toBe(false)
      yield* store.requestCancel(id(1))
      yield* store.requestCancel(id(1))
      expect(yield* store.cancelRequested(id(1))).toBe(true)
      expect(yield* messages(store)).toEqual([
        [1, "requested"],
        [2, "asked to cancel"]
      ])
    }))

  test("releases the lease in the last commit", (store) =>
    Effect.gen(function* () {
      yield* recorded(store, 1, "demo")
      yield* takeLease(store, id(1), holder(1))
      yield* store.commit({ id: id(1), term: 1 }, { change: { state: "ready" }, release: true })
      expect(yield* store.lease(id(1)).read).toEqual({ term: 1, heartbeat: 0, holder: null })
      yield* store.lease(id(1)).release(1)
      expect(yield* takeLease(store, id(1), holder(2), 1)).toEqual({ id: id(1), term: 2 })
      yield* store.lease(id(1)).release(1)
      expect((yield* store.lease(id(1)).read).holder).toEqual(holder(2))
    }))

  test("gives a resource to as many as it has room for, then to the earliest request", (store) =>
    Effect.gen(function* () {
      const claim = (n: number, term = 1) => store.claim({ id: id(n), term }, "slot", 2)
      const line = Effect.map(lineOf(store, "slot"), (all) =>
        all.map(({ holds, id: one }) => [`n${Number(one)}`, holds])
      )
      for (const n of [1, 2, 3, 4, 5]) {
        yield* recorded(store, n, `n${n}`)
        yield* takeLease(store, id(n), holder(n))
      }
      // They come in any order.
      for (const n of [5, 3, 4, 1]) yield* claim(n)
      expect(yield* line).toEqual([
        ["n3", true],
        ["n5", true],
        ["n1", false],
        ["n4", false]
      ])
      yield* claim(5)
      yield* store.claim({ id: id(2), term: 1 }, "another", 1)
      expect((yield* Effect.flip(claim(1, 7))).reason).toBe("lease-lost")
      expect(yield* line).toHaveLength(4)
      // Its end gives it up; who is not first in the line has to wait on.
      yield* store.commit({ id: id(5), term: 1 }, { change: { state: "failed" } })
      yield* claim(4)
      expect((yield* line)[2]).toEqual(["n4", false])
      yield* claim(1)
      expect(yield* line).toEqual([
        ["n1", true],
        ["n3", true],
        ["n4", false]
      ])
      // Who is tried again was requested again, and is the last.
      yield* store.beginAttempt(id(5), 2, requestedAgain(2, null))
      yield* takeLease(store, id(5), holder(5), 1)
      yield* claim(5, 2)
      expect((yield* line).at(-1)).toEqual(["n5", false])
    }))
})

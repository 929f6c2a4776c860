import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import type { Note } from "../../../src/domain/Note.js"
import {
  type Delivered,
  deliver,
  deliverBriefly,
  flush,
  withDelivery
} from "../../../src/hub/client/Delivery.js"
import { HubError, layerNoop, StateHub } from "../../../src/hub/client/StateHub.js"
import * as Tee from "../../../src/hub/client/tee/StateHubTee.js"
import { layerHome } from "../../../src/settings/Settings.js"
import type { ProcessIdentity } from "../../../src/store/ProcessIdentity.js"
import { SandboxStore, type SandboxStoreShape } from "../../../src/store/SandboxStore.js"
import * as Sql from "../../../src/store/sql/SandboxStoreSql.js"
import { ProcessIdentityMemory, StateHubMemory } from "../../../src/testing.js"
import {
  id,
  note,
  passTimeUntil,
  plan,
  platform,
  requested,
  sandbox,
  takeLease,
  temporaryFolder
} from "../../support/inMemory.js"

type Answer = "taken" | HubError | "silent"

const unavailable = (retryAfterSeconds?: number) =>
  new HubError({
    reason: "unavailable",
    message: "503",
    hint: "",
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds })
  })
const misconfigured = new HubError({ reason: "misconfigured", message: "401", hint: "" })
const refused = new HubError({ reason: "refused", message: "422: no such task", hint: "" })

/** A hub that answers as it is told, and what it was sent: the numbers of the notes. */
const makeHub = () => {
  const sent: Array<ReadonlyArray<string>> = []
  let answer: (notes: ReadonlyArray<Note>) => Answer = () => "taken"
  return {
    sent,
    taken: () => sent.flat(),
    answers: (next: typeof answer) => {
      answer = next
    },
    layer: Layer.succeed(StateHub, {
      target: "hub",
      publish: (notes) =>
        Effect.suspend((): Effect.Effect<void, HubError> => {
          sent.push(notes.map(({ summary }) => summary.split(" · ")[1] ?? ""))
          const said = answer(notes)
          return said === "taken" ? Effect.void : said === "silent" ? Effect.never : Effect.fail(said)
        })
    })
  }
}

const say = (store: SandboxStoreShape, n: number, ...messages: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    if ((yield* store.get(id(n))) === undefined) {
      yield* store.create(sandbox({ id: id(n), name: `n${n}` }), plan(), {
        ...requested,
        message: `n${n}`
      })
    }
    const { term } = yield* store.lease(id(n)).read
    const lease = yield* takeLease(store, id(n), { machine: "", bootId: "", pid: 1, startTime: 0 }, term)
    if (lease === undefined) return
    yield* store.commit(lease, { events: messages.map(note) })
  })

const file = Layer.unwrapScoped(
  Effect.map(temporaryFolder, (home) => Layer.provide(Sql.layer, layerHome(home)))
).pipe(Layer.provide(platform))

const stores: ReadonlyArray<readonly [string, Layer.Layer<SandboxStore, unknown>]> = [
  ["in memory", Sql.layerMemory],
  ["in a file", file]
]

describe.each(stores)("notes in the outbox %s", (_, storeLayer) => {
  type Lab = {
    readonly store: SandboxStoreShape
    readonly hub: ReturnType<typeof makeHub>
    readonly as: <A, E>(
      effect: Effect.Effect<A, E, ProcessIdentity | SandboxStore | StateHub>,
      pid?: number
    ) => Effect.Effect<A, E>
    readonly dead: Set<number>
  }
  const test = (name: string, run: (lab: Lab) => Effect.Effect<void, unknown>) =>
    it.scoped(name, () =>
      Effect.gen(function* () {
        const store = yield* SandboxStore
        const hub = makeHub()
        const dead = new Set<number>()
        yield* run({
          store,
          hub,
          dead,
          as: (effect, pid = 1) =>
            Effect.provide(
              effect,
              Layer.mergeAll(
                Layer.succeed(SandboxStore, store),
                hub.layer,
                ProcessIdentityMemory.layer(pid, dead)
              )
            )
        })
      }).pipe(Effect.provide(storeLayer))
    )

  const outcomes = (lab: Lab, ...expected: ReadonlyArray<Delivered>) =>
    Effect.forEach(expected, (wanted) =>
      Effect.map(lab.as(deliver()), (outcome) => expect(outcome).toBe(wanted))
    )

  test("are sent in order, once, in batches", (lab) =>
    Effect.gen(function* () {
      const many = Array.from({ length: 250 }, (_, n) => `m${n}`)
      yield* say(lab.store, 1, ...many)
      yield* say(lab.store, 2, "other")
      yield* outcomes(lab, "none", "none")
      expect(lab.hub.sent.map(({ length }) => length)).toEqual([100, 100, 53])
      expect(lab.hub.taken()).toEqual(["n1", ...many, "n2", "other"])
      expect(yield* lab.store.outbox.status).toMatchObject({ waiting: 0, delivered: 253, refused: 0 })
    }))

  test("wait longer after each failure of the hub; then one note is tried first", (lab) =>
    Effect.gen(function* () {
      yield* say(lab.store, 1, "a", "b")
      lab.hub.answers(() => unavailable())
      yield* outcomes(lab, "later", "later")
      expect(lab.hub.sent).toHaveLength(1)
      for (const seconds of [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
        yield* TestClock.adjust(`${seconds} seconds`)
        yield* outcomes(lab, "later", "later")
      }
      // However it was jittered, it was tried once after each of these.
      expect(lab.hub.sent).toHaveLength(12)
      expect(lab.hub.sent.at(-1)).toEqual(["n1"])
      const { delivering } = yield* lab.store.outbox.status
      expect(delivering).toMatchObject({ failures: 12, paused: false, answer: "503", target: "hub" })
      lab.hub.answers(() => "taken")
      lab.hub.sent.length = 0
      yield* TestClock.adjust("300 seconds")
      yield* outcomes(lab, "none")
      expect(lab.hub.sent).toEqual([["n1"], ["a", "b"]])
    }))

  test("wait as long as the hub's Retry-After says", (lab) =>
    Effect.gen(function* () {
      yield* say(lab.store, 1, "a")
      lab.hub.answers(() => unavailable(40))
      yield* outcomes(lab, "later")
      yield* TestClock.adjust("39 seconds")
      yield* outcomes(lab, "later")
      expect(lab.hub.sent).toHaveLength(1)
      yield* TestClock.adjust("1 second")
      yield* outcomes(lab, "later")
      expect(lab.hub.sent).toHaveLength(2)
    }))

  test("do not wait for ever after the clock was set back", (lab) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(86_400_000)
      yield* say(lab.store, 1, "a")
      lab.hub.answers(() => unavailable())
      yield* outcomes(lab, "later")
      yield* TestClock.setTime(0)
      lab.hub.answers(() => "taken")
      yield* outcomes(lab, "none")
    }))

  test("are kept while the hub is misconfigured, and sent on request", (lab) =>
    Effect.gen(function* () {
      yield* say(lab.store, 1, "a")
      lab.hub.answers(() => misconfigured)
      yield* outcomes(lab, "later")
      yield* TestClock.adjust("9 minutes")
      yield* outcomes(lab, "later")
      expect(lab.hub.sent).toHaveLength(1)
      expect((yield* lab.store.outbox.status).delivering.paused).toBe(true)
      expect(yield* lab.as(flush(30))).toBe("later")
      expect(lab.hub.sent).toHaveLength(2)
      lab.hub.answers(() => "taken")
      expect(yield* lab.as(flush(30))).toBe("none")
      expect(yield* lab.store.outbox.status).toMatchObject({ waiting: 0, delivered: 2 })
    }))

  test("are sent to a new hub at once", (lab) =>
    Effect.gen(function* () {
      yield* say(lab.store, 1, "a")
      lab.hub.answers(() => misconfigured)
      yield* outcomes(lab, "later")
      const other = Layer.succeed(StateHub, { target: "other", publish: () => Effect.void })
      const told = yield* deliver().pipe(
        Effect.provide(
          Layer.mergeAll(Layer.succeed(SandboxStore, lab.store), ProcessIdentityMemory.layer(), other)
        )
      )
      expect(told).toBe("none")
    }))

  test("that a hub rejects are set aside and block nothing", (lab) =>
    Effect.gen(function* () {
      yield* say(lab.store, 1, "a", "bad", "c")
      lab.hub.answers((notes) => (notes.some(({ summary }) => summary.endsWith("bad")) ? refused : "taken"))
      yield* outcomes(lab, "none")
      expect(lab.hub.sent).toEqual([["n1", "a", "bad", "c"], ["n1"], ["a"], ["bad"], ["c"]])
      expect(yield* lab.store.outbox.status).toMatchObject({ waiting: 0, delivered: 3, refused: 1 })
      const [aside] = yield* lab.store.outbox.refused
      expect(aside).toMatchObject({ reason: "422: no such task", attempts: 2, note: { id: `${id(1)}-3` } })
      lab.hub.answers(() => "taken")
      expect(yield* lab.store.outbox.retry([`${id(1)}-2`])).toBe(0)
      expect(yield* lab.store.outbox.retry([])).toBe(1)
      yield* outcomes(lab, "none")
      expect(lab.hub.sent.at(-1)).toEqual(["bad"])
      expect(yield* lab.store.outbox.status).toMatchObject({ waiting: 0, delivered: 4, refused: 0 })
    }))

  test("are sent by one process at a time; a killed sender blocks nothing", (lab) =>
    Effect.gen(function* () {
      yield* say(lab.store, 1, "a")
      lab.hub.answers(() => "silent")
      const first = yield* Effect.fork(lab.as(deliver(), 1))
      yield* Effect.yieldNow().pipe(Effect.repeat({ until: () => lab.hub.sent.length > 0 }))
      expect(yield* lab.as(deliver(), 2)).toBe("busy")
      lab.dead.add(1)
      lab.hub.answers(() => "taken")
      expect(yield* lab.as(deliver(), 2)).toBe("none")
      // What the first one comes to know is not written any more.
      yield* Fiber.interrupt(first)
      expect(yield* lab.store.outbox.status).toMatchObject({ waiting: 0, delivered: 2 })
    }))

  test("are taken over from a sender that stands still, while `hub flush` tries", (lab) =>
    Effect.gen(function* () {
      yield* say(lab.store, 1, "a")
      yield* lab.store.outbox.lease.take({ machine: "memory", bootId: "memory", pid: 1, startTime: 0 }, 0)
      expect(yield* lab.as(deliver(), 2)).toBe("busy")
      const flushing = yield* Effect.fork(lab.as(flush(30), 2))
      yield* TestClock.adjust("19 seconds")
      expect(lab.hub.sent).toEqual([])
      yield* passTimeUntil(flushing)
      expect(yield* Fiber.join(flushing)).toBe("none")
      expect(lab.hub.taken()).toEqual(["n1", "a"])
    }))

  test("delay a command by at most 5 s", (lab) =>
    Effect.gen(function* () {
      yield* say(lab.store, 1, "a")
      lab.hub.answers(() => "silent")
      const fiber = yield* Effect.fork(lab.as(deliverBriefly))
      yield* Effect.yieldNow().pipe(Effect.repeat({ until: () => lab.hub.sent.length > 0 }))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      // It gave back what it had.
      expect((yield* lab.store.outbox.lease.read).holder).toBeNull()
    }))

  test("are sent while the work continues, and at its end", (lab) =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      const work = Effect.gen(function* () {
        yield* say(lab.store, 1, "a")
        yield* Deferred.await(go)
        yield* say(lab.store, 1, "last")
        return 7
      })
      const fiber = yield* Effect.fork(lab.as(withDelivery(work)))
      yield* TestClock.adjust("1 second").pipe(
        Effect.repeat({ until: () => Effect.sync(() => lab.hub.taken().includes("a")) })
      )
      yield* Deferred.succeed(go, undefined)
      expect(yield* Fiber.join(fiber)).toBe(7)
      expect(lab.hub.taken()).toEqual(["n1", "a", "last"])
    }))

  test("do not exist if the sandbox was created without a hub", ({ as, hub, store }) =>
    Effect.gen(function* () {
      yield* store.create(sandbox(), plan({ hub: { ...plan().hub, notes: "none" } }), requested)
      expect(yield* store.outbox.status).toMatchObject({ waiting: 0 })
      expect(yield* as(deliver())).toBe("none")
      expect(hub.sent).toEqual([])
    }))
})

it.effect("without a hub nothing is tried", () =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    yield* say(store, 1, "a")
    expect(yield* deliver()).toBe("no-hub")
    expect(yield* store.outbox.status).toMatchObject({ waiting: 2 })
  }).pipe(Effect.provide(Layer.mergeAll(Sql.layerMemory, layerNoop, ProcessIdentityMemory.layer())))
)

describe("two hubs", () => {
  it.scoped("both receive every note, and what one missed is sent again", () =>
    Effect.gen(function* () {
      const away = makeHub()
      away.answers(() => unavailable())
      const memory = yield* Layer.build(StateHubMemory.layer)
      yield* Effect.gen(function* () {
        const store = yield* SandboxStore
        const { target } = yield* StateHub
        expect(target).toBe("hub")
        yield* say(store, 1, "a")
        expect(yield* deliver()).toBe("later")
        expect(yield* Context.get(memory, StateHubMemory.Notes)).toHaveLength(2)
        away.answers(() => "taken")
        expect(yield* deliver({ now: true })).toBe("none")
        expect(away.taken()).toEqual(["n1", "a", "n1", "a"])
      }).pipe(
        Effect.provide(
          Layer.mergeAll(
            Sql.layerMemory,
            ProcessIdentityMemory.layer(),
            Tee.layer(away.layer, Layer.succeedContext(memory))
          )
        )
      )
    })
  )

  it.scoped("of which one is no hub equal the other one", () =>
    Effect.gen(function* () {
      const one = yield* Effect.provide(StateHub, Tee.layer(layerNoop, makeHub().layer))
      const none = yield* Effect.provide(StateHub, Tee.layer(layerNoop, layerNoop))
      expect([one.tells, one.target, none.tells]).toEqual([undefined, "hub", false])
    })
  )
})

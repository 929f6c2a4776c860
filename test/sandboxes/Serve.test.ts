/** What `serve` does while it is left to, on a clock of the test's. */
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { SandboxId } from "../../src/domain/Sandbox.js"
import { Supervisors } from "../../src/provisioning/Supervisors.js"
import { Sandboxes } from "../../src/sandboxes/Sandboxes.js"
import { serve } from "../../src/sandboxes/Serve.js"
import { StoreError } from "../../src/store/SandboxStore.js"
import { extensionOf, id, plan, requested, sandbox, takeLease } from "../support/inMemory.js"
import { manager } from "./manager.js"

/** A state directory that process `pid` can serve; supervisors are started as `start` does it. */
const served = (start: (id: SandboxId) => Effect.Effect<void, StoreError>) =>
  Effect.gen(function* () {
    const made = yield* manager(extensionOf(Effect.void), {})
    const said: Array<string> = []
    return {
      ...made,
      said,
      record: (n: number, fields: Parameters<typeof sandbox>[0]) =>
        made.store.create(sandbox({ id: id(n), name: `n${n}`, ...fields }), plan(), requested),
      serve: (pid: number, sandboxes = made.sandboxes) =>
        serve((line) => Effect.sync(() => void said.push(line))).pipe(
          Effect.provideService(Sandboxes, sandboxes),
          Effect.provideService(Supervisors, { start, ended: () => Effect.never }),
          Effect.provide(Layer.fresh(made.services(pid)))
        )
    }
  })

const nobody = () => Effect.void

/** Lets time pass until it is so. */
const passTimeUntil = <E>(isSo: Effect.Effect<boolean, E>) =>
  Effect.repeat(Effect.zipRight(TestClock.adjust("1 second"), isSo), { until: (yes) => yes })

const holder = (pid: number) => ({ machine: "m", bootId: "b", pid, startTime: 1 })

describe("serve", () => {
  it.scoped("starts a supervisor for each provision that has none, and for no other", () =>
    Effect.gen(function* () {
      const started = new Set<SandboxId>()
      const made = yield* served((of) => Effect.sync(() => void started.add(of)))
      yield* made.record(1, { state: "provisioning" })
      yield* made.record(2, { state: "provisioning" })
      yield* made.record(3, { state: "ready" })
      yield* takeLease(made.store, id(1), holder(7))
      yield* takeLease(made.store, id(2), holder(8))
      made.dead.add(7)
      const fiber = yield* Effect.fork(made.serve(1))
      yield* passTimeUntil(Effect.sync(() => started.size > 0))
      expect(started).toEqual(new Set([id(1)]))
      made.dead.add(8)
      yield* passTimeUntil(Effect.sync(() => started.size > 1))
      expect(started).toEqual(new Set([id(1), id(2)]))
      expect(made.said).toContain(`${id(2)}: nobody carried it through: a supervisor was started`)
      yield* Fiber.interrupt(fiber)
    })
  )

  it.scoped("reports once what it cannot repair, and tries again a minute later", () =>
    Effect.gen(function* () {
      const tries: Array<number> = []
      const refusal = new StoreError({ reason: "other", message: "no process", hint: "wait" })
      const made = yield* served(() =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          tries.push(now)
          return refusal
        })
      )
      yield* made.record(1, { state: "provisioning" })
      yield* takeLease(made.store, id(1), holder(7))
      made.dead.add(7)
      const fiber = yield* Effect.fork(made.serve(1))
      yield* passTimeUntil(Effect.sync(() => tries.length === 3))
      const [first = 0, second = 0, third = 0] = tries
      expect(second - first).toBeGreaterThanOrEqual(60_000)
      expect(third - second).toBeGreaterThanOrEqual(60_000)
      expect(made.said.filter((line) => line.startsWith(id(1)))).toEqual([`${id(1)}: no process; wait`])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.scoped("removes what has expired", () =>
    Effect.gen(function* () {
      const made = yield* served(nobody)
      yield* made.record(1, { state: "ready", expiresAt: DateTime.unsafeMake(30_000) })
      const fiber = yield* Effect.fork(made.serve(1))
      yield* passTimeUntil(Effect.map(made.sandboxes.get(id(1)), ({ state }) => state === "destroyed"))
      expect(yield* Clock.currentTimeMillis).toBeGreaterThanOrEqual(30_000)
      yield* passTimeUntil(Effect.sync(() => made.said.length > 1))
      expect(made.said.slice(1)).toEqual([`${id(1)}: its time is over: destroyed`])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.scoped("continues when the database fails for a while, and ends if it is damaged", () =>
    Effect.gen(function* () {
      const made = yield* served(nobody)
      let looks = 0
      const list: typeof made.sandboxes.list = (query) =>
        Effect.suspend(() => {
          const reason = ++looks < 4 ? "busy" : "damaged"
          return looks === 1
            ? made.sandboxes.list(query)
            : new StoreError({ reason, message: `it is ${reason}`, hint: "wait" })
        })
      const fiber = yield* Effect.fork(made.serve(1, { ...made.sandboxes, list }))
      yield* passTimeUntil(Effect.map(Fiber.poll(fiber), Option.isSome))
      expect(yield* Effect.flip(Fiber.join(fiber))).toMatchObject({ reason: "damaged" })
      expect(made.said).toEqual([`serving ${made.home}`, "supervisors: it is busy"])
      expect(looks).toBe(4)
    })
  )

  it.scoped("sends waiting notes to the hub", () =>
    Effect.gen(function* () {
      const made = yield* served(nobody)
      yield* made.record(1, { state: "ready" })
      const fiber = yield* Effect.fork(made.serve(1))
      yield* passTimeUntil(Effect.map(made.notes, ({ length }) => length > 0))
      expect((yield* made.notes).map(({ sandbox_id }) => sandbox_id)).toEqual([id(1)])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.scoped("runs once at a time: until it ends or has lost its lease", () =>
    Effect.gen(function* () {
      const made = yield* served(nobody)
      const serving = (n: number) =>
        Effect.sync(() => made.said.filter((line) => line.startsWith("serving")).length === n)
      const first = yield* Effect.fork(made.serve(1))
      yield* passTimeUntil(serving(1))
      expect(yield* Effect.flip(made.serve(2))).toMatchObject({
        _tag: "Conflict",
        reason: "running",
        message: `process 1 serves ${made.home} already`
      })
      yield* Fiber.interrupt(first)
      const second = yield* Effect.fork(made.serve(2))
      yield* passTimeUntil(serving(2))
      expect(readdirSync(join(made.home, "serve"))).toEqual(["2"])
      expect((yield* Effect.flip(made.serve(3))).message).toContain("process 2 serves")
      // A file that a crash of the machine cut off names no holder.
      writeFileSync(join(made.home, "serve", "2"), '{"machine":')
      const third = yield* Effect.fork(made.serve(3))
      yield* passTimeUntil(serving(3))
      yield* passTimeUntil(Effect.map(Fiber.poll(second), Option.isSome))
      expect((yield* Effect.flip(Fiber.join(second))).message).toContain("process 3 serves")
      yield* Fiber.interrupt(third)
    })
  )
})

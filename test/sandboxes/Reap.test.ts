/** What ends by itself, and what lives on. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ArtifactId } from "../../src/domain/Artifact.js"
import { deliver } from "../../src/hub/client/Delivery.js"
import { HubError, layerNoop, StateHub } from "../../src/hub/client/StateHub.js"
import { extensionOf, id, plan, requested, sandbox } from "../support/inMemory.js"
import { manager } from "./manager.js"

const extension = extensionOf(Effect.void)
const past = DateTime.unsafeMake(0)
const future = DateTime.unsafeMake(Date.UTC(2500, 0))

/** The plan of a sandbox that no hub is told of: none of its notes waits. */
const untold = plan({ hub: { workstream: null, task: null, notes: "none", everySeconds: 60 } })

type Fields = Parameters<typeof sandbox>[0]

/** A manager of sandboxes, the nth with the nth fields. */
const having = (...all: ReadonlyArray<Fields>) =>
  Effect.gen(function* () {
    const made = yield* manager(extension, {})
    for (const [index, fields] of all.entries()) {
      const n = index + 1
      yield* made.store.create(sandbox({ id: id(n), name: `sandbox-${n}`, ...fields }), untold, requested)
    }
    return made
  })

const artifactAt = (path: string) => ({
  id: ArtifactId.make("0123456789ab"),
  name: "image",
  path,
  format: "raw",
  sizeBytes: 1,
  sha256: "0".repeat(64),
  primary: true
})

describe("reap", () => {
  it.scopedLive("removes what has expired and nothing else", () =>
    Effect.gen(function* () {
      const made = yield* having(
        { state: "ready", expiresAt: past },
        { state: "ready", expiresAt: future },
        { state: "ready" },
        { state: "failed", expiresAt: past },
        { state: "cancelled", expiresAt: future },
        { state: "provisioning", expiresAt: past },
        { state: "destroying" }
      )
      const { sandboxes } = made
      const planned = yield* sandboxes.reap({ dryRun: true })
      const wanted = [
        [id(1), "destroy"],
        [id(4), "forget"],
        [id(7), "destroy"]
      ]
      expect(planned.map(({ action, sandbox: of }) => [of.id, action])).toEqual(wanted)
      const states = Effect.map(sandboxes.list(), (all) => all.map(({ id: of, state }) => [of, state]))
      expect(yield* states).toHaveLength(7)
      expect((yield* states)[0]).toEqual([id(1), "ready"])

      const reaped = yield* sandboxes.reap({ dryRun: false })
      expect(reaped.map(({ action, sandbox: of }) => [of.id, action])).toEqual(wanted)
      expect(reaped.every(({ problem }) => problem === null)).toBe(true)
      expect(yield* states).toEqual([
        [id(1), "destroyed"],
        [id(2), "ready"],
        [id(3), "ready"],
        [id(5), "cancelled"],
        [id(6), "provisioning"],
        [id(7), "destroyed"]
      ])
      const events = yield* sandboxes.events(id(1), 0)
      expect(events.map(({ type }) => type)).toEqual(["requested", "expired", "destroyed"])
      expect(yield* sandboxes.events(id(4), 0)).toEqual([])
      expect(yield* sandboxes.reap({ dryRun: false })).toEqual([])
    })
  )

  it.scopedLive(
    "removes logs and retained files with the record, but keeps the record of an existing artifact",
    () =>
      Effect.gen(function* () {
        const made = yield* manager(extension, {})
        const image = `${made.home}/image`
        writeFileSync(image, "x")
        mkdirSync(`${made.home}/logs`)
        mkdirSync(`${made.home}/kept/${id(1)}`, { recursive: true })
        writeFileSync(`${made.home}/kept/${id(1)}/file`, "x")
        for (const n of [1, 2]) {
          writeFileSync(`${made.home}/logs/${id(n)}.1.log`, "a line\n")
          yield* made.store.create(
            sandbox({
              id: id(n),
              name: `sandbox-${n}`,
              state: "destroyed",
              expiresAt: past,
              artifacts: n === 1 ? [artifactAt(`${image}-that-is-gone`)] : [artifactAt(image)]
            }),
            untold,
            requested
          )
        }
        expect(yield* made.sandboxes.reap({ dryRun: false })).toMatchObject([{ action: "forget" }])
        expect((yield* made.sandboxes.list()).map((one) => one.id)).toEqual([id(2)])
        expect(existsSync(`${made.home}/logs/${id(1)}.1.log`)).toBe(false)
        expect(existsSync(`${made.home}/kept/${id(1)}`)).toBe(false)
        expect(existsSync(`${made.home}/logs/${id(2)}.1.log`)).toBe(true)
        expect(existsSync(image)).toBe(true)
      })
  )
})

/** A manager of one sandbox that failed some days before its hub was told of it, whose time was over then. */
const heldFor = (days: number, hub?: Layer.Layer<StateHub>) =>
  Effect.gen(function* () {
    const made = yield* manager(extension, {}, hub)
    const { sandboxes } = made
    const expiresAt = DateTime.subtract(yield* DateTime.now, { days })
    yield* made.store.create(
      sandbox({ state: "failed", expiresAt }),
      plan({ hub: { workstream: null, task: null, notes: "all", everySeconds: 60 } }),
      requested
    )
    /** What is reaped, which is what was said before. */
    const reaped = Effect.gen(function* () {
      const said = yield* sandboxes.reap({ dryRun: true })
      const done = yield* sandboxes.reap({ dryRun: false })
      expect(done).toEqual(said)
      return done.map(({ action }) => action)
    })
    return { ...made, reaped }
  })

describe("a record whose notes were not sent yet", () => {
  it.scopedLive("is kept until they are sent", () =>
    Effect.gen(function* () {
      const made = yield* heldFor(29)
      expect(yield* made.reaped).toEqual([])
      expect(yield* made.sandboxes.list()).toHaveLength(1)
      yield* Effect.provide(deliver(), made.services(1))
      expect(yield* made.reaped).toEqual(["forget"])
      expect(yield* made.sandboxes.list()).toEqual([])
    })
  )

  it.scopedLive("is kept until the hub rejected them", () =>
    Effect.gen(function* () {
      const made = yield* heldFor(29)
      const refusing = Layer.succeed(StateHub, {
        publish: () => new HubError({ reason: "refused", message: "no such task", hint: "" })
      })
      yield* Effect.provide(deliver(), Layer.merge(made.services(1), refusing))
      expect(yield* made.reaped).toEqual(["forget"])
      expect(yield* made.store.outbox.status).toMatchObject({ waiting: 0, refused: 0 })
    })
  )

  it.scopedLive("is removed anyway when they wait longer than the retention", () =>
    Effect.gen(function* () {
      const made = yield* heldFor(31)
      expect(yield* made.reaped).toEqual(["forget"])
      expect(yield* made.store.outbox.status).toMatchObject({ waiting: 0 })
      yield* Effect.provide(deliver(), made.services(1))
      expect(yield* made.notes).toEqual([])
    })
  )

  it.scopedLive("is removed if there is no hub any more", () =>
    Effect.gen(function* () {
      const made = yield* heldFor(1, layerNoop)
      expect(yield* made.reaped).toEqual(["forget"])
      expect(yield* made.store.outbox.status).toMatchObject({ waiting: 0 })
    })
  )
})

describe("renew", () => {
  it.scopedLive("makes a ready sandbox expire later or sooner", () =>
    Effect.gen(function* () {
      const { sandboxes } = yield* having({ state: "ready", expiresAt: past })
      const before = yield* DateTime.now
      const renewed = yield* sandboxes.renew(id(1), 3600)
      expect(renewed.ttlSeconds).toBe(3600)
      const seconds = DateTime.distance(before, renewed.expiresAt ?? past) / 1000
      expect(seconds).toBeGreaterThanOrEqual(3600)
      expect(seconds).toBeLessThan(3700)
      expect(yield* sandboxes.reap({ dryRun: false })).toEqual([])
      expect((yield* sandboxes.events(id(1), 1)).map(({ type }) => type)).toEqual(["renewed"])
    })
  )

  it.scopedLive("is refused for a sandbox that is not ready", () =>
    Effect.gen(function* () {
      const { sandboxes } = yield* having({ state: "failed", expiresAt: past })
      expect(yield* Effect.flip(sandboxes.renew(id(1), 60))).toMatchObject({
        _tag: "Conflict",
        reason: "not-ready",
        message: "sandbox-1 is failed: its time does not run"
      })
    })
  )
})

it.scopedLive("a destroyed sandbox shows when its record is removed", () =>
  Effect.gen(function* () {
    const { sandboxes } = yield* having({ state: "ready" })
    const destroyed = yield* sandboxes.destroy(id(1), { force: false, deleteArtifacts: false })
    const days = DateTime.distance(yield* DateTime.now, destroyed.expiresAt ?? past) / 86_400_000
    expect(Math.round(days)).toBe(30)
  })
)

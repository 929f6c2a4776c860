import { existsSync, writeFileSync } from "node:fs"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { SandboxState } from "../../src/domain/Sandbox.js"
import * as ProfilesDirectory from "../../src/profiles/directory/ProfilesDirectory.js"
import * as SupervisorsInProcess from "../../src/provisioning/fibers/SupervisorsInProcess.js"
import { Supervisors } from "../../src/provisioning/Supervisors.js"
import { type Extension, mode } from "../../src/recipe/Extension.js"
import { Provision } from "../../src/recipe/Provision.js"
import type { RecipeError, RecipeServices } from "../../src/recipe/Recipe.js"
import * as Sandboxes from "../../src/sandboxes/Sandboxes.js"
import { layerHome } from "../../src/settings/Settings.js"
import {
  id,
  note,
  passTimeUntil,
  plan,
  platform,
  publish,
  requested,
  sandbox,
  takeLease,
  temporaryFolder,
  world
} from "../support/inMemory.js"

const profiles = {
  base: "id: profile.base\nttl: 1 hour\n",
  test: `id: profile.test
extends: profile.base
extension: ext.test
timeout: 10 minutes
`
}

type Recipe = Effect.Effect<unknown, RecipeError, RecipeServices>

const inputs = {
  vm_name: { type: "string" },
  folder: { type: "path" },
  password: { type: "secret", description: "The password" }
} as const

const extensionOf = (recipe: Recipe): Extension => ({
  id: "ext.test",
  description: "A recipe of a test",
  modes: {
    make: mode({
      description: "Runs it",
      inputs,
      schema: Schema.Struct({ inputs: Schema.Record({ key: Schema.String, value: Schema.Unknown }) }),
      plan: (request) => Effect.succeed({ inputs: request.inputs }),
      describe: () => ["run it"],
      defaultName: (planned) => planned.inputs.vm_name as string | undefined,
      provision: () => Effect.as(recipe, { artifacts: [], endpoint: null })
    }),
    other: mode({
      description: "Does nothing",
      inputs: {},
      schema: Schema.Struct({}),
      plan: () => Effect.succeed({}),
      describe: () => [],
      defaultName: () => undefined,
      provision: () => Effect.succeed({ artifacts: [], endpoint: null })
    })
  }
})

const begun = (recipe: Recipe = Effect.void, supervisors?: Layer.Layer<Supervisors>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const made = yield* world({ extensions: [extensionOf(recipe)] })
    const folder = yield* temporaryFolder
    for (const [name, text] of Object.entries(profiles))
      yield* fs.writeFileString(`${folder}/${name}.yaml`, text)
    const settings = layerHome(made.home, { profileFolders: [{ path: folder, origin: "shipped" }] })
    const context = yield* Layer.build(
      Sandboxes.layer.pipe(
        Layer.provide(supervisors ?? SupervisorsInProcess.layer),
        Layer.provide(Layer.provideMerge(ProfilesDirectory.layer, settings)),
        Layer.provide(made.services(1))
      )
    )
    const sandboxes = Context.get(context, Sandboxes.Sandboxes)
    const request = (given: Readonly<Record<string, string>> = {}): Sandboxes.CreateRequest => ({
      profile: "profile.test",
      inputs: given,
      environment: { PASSWORD: "correct-horse", EMPTY: "" },
      workingDirectory: folder
    })
    return { ...made, sandboxes, request, folder }
  }).pipe(Effect.provide(platform))

const names = (made: Effect.Effect.Success<ReturnType<typeof begun>>) =>
  Effect.map(made.sandboxes.list(), (all) => all.map(({ name }) => name))

describe("plan", () => {
  it.scopedLive("describes what would be done and writes nothing", () =>
    Effect.gen(function* () {
      const made = yield* begun()
      const planned = yield* made.sandboxes.plan({
        ...made.request({ vm_name: "demo", folder: "inner", password: "env:PASSWORD" }),
        ttlSeconds: 5
      })
      expect(planned).toMatchObject({
        profile: "profile.test",
        extension: "ext.test",
        mode: "make",
        ttlSeconds: 5,
        timeoutSeconds: 600,
        inputs: { vm_name: "demo", folder: `${made.folder}/inner`, password: "env:PASSWORD" },
        secrets: { password: "env:PASSWORD" },
        spec: { inputs: { vm_name: "demo", folder: `${made.folder}/inner` } },
        description: ["run it"]
      })
      expect(yield* names(made)).toEqual([])
    })
  )

  it.scopedLive("takes the mode from the flag or from the input", () =>
    Effect.gen(function* () {
      const { request, sandboxes } = yield* begun()
      const mode_ = (given: Readonly<Record<string, string>>, flag?: string) =>
        sandboxes.plan({ ...request(given), ...(flag === undefined ? {} : { mode: flag }) })
      expect((yield* mode_({}, "other")).mode).toBe("other")
      expect((yield* mode_({ mode: "other" })).mode).toBe("other")
      expect((yield* mode_({ mode: "other" }, "other")).mode).toBe("other")
      expect(yield* Effect.flip(mode_({ mode: "other" }, "make"))).toMatchObject({
        _tag: "UsageError",
        message: "the mode is given twice: make and other"
      })
      expect(yield* Effect.flip(mode_({}, "destroy"))).toMatchObject({
        message: "ext.test has no mode destroy",
        hint: "its modes are: make, other"
      })
    })
  )

  it.scopedLive.each([
    ["profile.tset", "NotFound", "did you mean profile.test?"],
    ["profile.base", "UsageError", "`sandboxer profile list` shows the profiles that you can use"]
  ] as const)("refuses %s", ([profile, tag, hint]) =>
    Effect.gen(function* () {
      const { request, sandboxes } = yield* begun()
      expect(yield* Effect.flip(sandboxes.plan({ ...request(), profile }))).toMatchObject({ _tag: tag, hint })
    })
  )
})

describe("create", () => {
  it.scopedLive("records a sandbox and starts its provision", () =>
    Effect.gen(function* () {
      const { request, sandboxes } = yield* begun(publish)
      const made = yield* sandboxes.create(request({ vm_name: "demo" }))
      expect(made).toMatchObject({
        name: "demo",
        state: "requested",
        mode: "make",
        attempt: 1,
        ttlSeconds: 3600
      })
      const ended = yield* sandboxes.wait(made.id)
      expect(ended).toMatchObject({ id: made.id, state: "ready", failure: null })
      expect(ended.expiresAt).toEqual(DateTime.add(ended.readyAt!, { hours: 1 }))
      expect(ended.artifacts.map(({ name }) => name)).toEqual(["demo.raw"])
    })
  )

  it.scopedLive(
    "that is interrupted after the record cancels the sandbox, and leaves its secrets to the supervisor",
    () =>
      Effect.gen(function* () {
        let starts = 0
        const { request, sandboxes, secrets, store } = yield* begun(
          Effect.void,
          Layer.succeed(Supervisors, {
            start: () => Effect.suspend(() => (starts++ === 0 ? Effect.never : Effect.void)),
            ended: () => Effect.never
          })
        )
        const creating = yield* Effect.fork(
          sandboxes.create(request({ vm_name: "demo", password: "env:PASSWORD" }))
        )
        yield* Effect.repeat(
          Effect.sync(() => starts),
          { until: (times) => times > 0, schedule: Schedule.spaced("1 millis") }
        )
        yield* Fiber.interrupt(creating)
        const { id } = yield* sandboxes.find("demo")
        expect(yield* store.cancelRequested(id)).toBe(true)
        expect(starts).toBe(2)
        expect(Object.keys(yield* secrets.get(id, 1))).toEqual(["password"])
      })
  )

  it.scopedLive("uses the next free name unless a name was given", () =>
    Effect.gen(function* () {
      const made = yield* begun(Effect.never)
      const { request, sandboxes } = made
      for (const _ of [1, 2, 3]) yield* sandboxes.create(request({ vm_name: "demo" }))
      yield* sandboxes.create(request())
      yield* sandboxes.create({ ...request({ vm_name: "demo" }), name: "mine" })
      expect(yield* names(made)).toEqual(["demo", "demo-2", "demo-3", "test", "mine"])
      const taken = { ...request({ vm_name: "x", password: "env:PASSWORD" }), name: "mine" }
      expect(yield* Effect.flip(sandboxes.create(taken))).toMatchObject({
        _tag: "Conflict",
        reason: "name-taken"
      })
      expect(yield* names(made)).toHaveLength(5)
    })
  )

  it.scopedLive("passes secrets to the recipe and deletes them when the provision ends", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const made = yield* begun(
        Effect.flatMap(Provision, ({ secrets }) =>
          Effect.sync(() => seen.push(Redacted.value(secrets.password ?? Redacted.make("none"))))
        )
      )
      const { folder, request, sandboxes } = made
      writeFileSync(`${folder}/secret`, " battery \r\n")
      for (const password of ["env:PASSWORD", "@secret"]) {
        const { id: created, inputs: given } = yield* sandboxes.create(request({ password }))
        expect(given).toEqual({ password: password === "@secret" ? `@${folder}/secret` : password })
        yield* sandboxes.wait(created)
        expect(yield* made.secrets.get(created, 1)).toEqual({})
      }
      expect(seen).toEqual(["correct-horse", " battery "])
    })
  )

  it.scopedLive.each(["env:NOTHING", "env:EMPTY", "@nothing"])(
    "records nothing if a secret has no value: %s",
    (password) =>
      Effect.gen(function* () {
        const made = yield* begun()
        const error = yield* Effect.flip(made.sandboxes.create(made.request({ password })))
        expect(error).toMatchObject({ _tag: "UsageError", reason: "input" })
        expect(error.message).toContain("input password")
        expect(yield* names(made)).toEqual([])
      })
  )
})

describe("find", () => {
  const among = (kept: ReadonlyArray<readonly [n: number, name: string, state: SandboxState]>) =>
    Effect.gen(function* () {
      const { sandboxes, store } = yield* begun()
      for (const [n, name, state] of kept) {
        yield* store.create(
          sandbox({ id: id(n), name, createdAt: DateTime.unsafeMake(n) }),
          plan(),
          requested
        )
        yield* store.transition(id(n), ["requested"], { state }, note("e"))
      }
      return (reference: string) => Effect.either(sandboxes.find(reference))
    })
  const found = (n: number) => ({ _tag: "Right", right: { id: id(n) } })

  it.scopedLive("accepts an id, a unique prefix of an id, and a name", () =>
    Effect.gen(function* () {
      const find = yield* among([
        [0xa00000000001, "one", "ready"],
        [0xa00000000002, "two", "ready"],
        [0xb00000000001, "three", "ready"]
      ])
      expect(yield* find("a00000000002")).toMatchObject(found(0xa00000000002))
      expect(yield* find("b")).toMatchObject(found(0xb00000000001))
      expect(yield* find("one")).toMatchObject(found(0xa00000000001))
      expect(yield* find("a0")).toMatchObject({
        _tag: "Left",
        left: { _tag: "UsageError", message: "a0 is the beginning of 2 ids" }
      })
      expect(yield* find("thre")).toMatchObject({
        _tag: "Left",
        left: { _tag: "NotFound", hint: "did you mean three?" }
      })
      expect(yield* find("")).toMatchObject({ _tag: "Left", left: { _tag: "NotFound" } })
    })
  )

  it.scopedLive("prefers the living sandbox of a name, else the newest dead one", () =>
    Effect.gen(function* () {
      const find = yield* among([
        [1, "demo", "failed"],
        [2, "demo", "ready"],
        [3, "gone", "destroyed"],
        [4, "gone", "cancelled"]
      ])
      expect(yield* find("demo")).toMatchObject(found(2))
      expect(yield* find("gone")).toMatchObject(found(4))
    })
  )

  it.scopedLive("prefers a name to a prefix of an id", () =>
    Effect.gen(function* () {
      const find = yield* among([
        [0xa00000000001, "b", "ready"],
        [0xb00000000001, "a", "failed"]
      ])
      expect(yield* find("b")).toMatchObject(found(0xa00000000001))
      expect(yield* find("a")).toMatchObject(found(0xb00000000001))
    })
  )
})

describe("follow", () => {
  it.scopedLive("returns every event once, in order, to the end", () =>
    Effect.gen(function* () {
      const { request, sandboxes } = yield* begun(publish)
      const { id: created } = yield* sandboxes.create(request())
      const collect = (after: number) =>
        Effect.map(Stream.runCollect(sandboxes.follow(created, after)), (events) =>
          Chunk.toReadonlyArray(events).map(({ seq, type }) => [seq, type])
        )
      const all = yield* collect(0)
      expect(all).toEqual([
        [1, "requested"],
        [2, "planned"],
        [3, "provisioning"],
        [4, "artifact"],
        [5, "ready"]
      ])
      expect(yield* collect(2)).toEqual(all.slice(2))
      expect(yield* collect(5)).toEqual([])
    })
  )

  it.scopedLive("fails for an unknown sandbox", () =>
    Effect.gen(function* () {
      const { sandboxes } = yield* begun()
      expect(yield* Effect.flip(sandboxes.wait(id(1)))).toMatchObject({ _tag: "NotFound" })
    })
  )
})

describe("the supervisor of a followed sandbox", () => {
  /** Supervisors that never come to anything, counted. */
  const idle = () => {
    const starts: Array<number> = []
    const layer = Layer.succeed(Supervisors, {
      ended: () => Effect.never,
      start: () => Effect.map(DateTime.now, (now) => void starts.push(DateTime.toEpochMillis(now) / 1000))
    })
    return { starts, layer }
  }

  it.scoped("is restarted after growing pauses, a limited number of times", () =>
    Effect.gen(function* () {
      const { layer, starts } = idle()
      const { request, sandboxes } = yield* begun(Effect.void, layer)
      const { id: created } = yield* sandboxes.create(request())
      const error = yield* Effect.flip(passTimeUntil(yield* Effect.fork(sandboxes.wait(created))))
      expect(error).toMatchObject({ _tag: "StoreError", reason: "other" })
      expect(error.message).toContain(created)
      // By `create`; then once for each time that nobody began.
      expect(starts).toHaveLength(6)
      // 3 s, and then 3, 6, 12 and 24 from one look to the next.
      expect((starts.at(-1) ?? 0) - (starts[0] ?? 0)).toBeGreaterThanOrEqual(48)
    })
  )

  it.scoped("is killed and replaced if its heartbeat stands still for a minute", () =>
    Effect.gen(function* () {
      const { layer, starts } = idle()
      const { dead, request, sandboxes, store } = yield* begun(Effect.void, layer)
      const { id: created } = yield* sandboxes.create(request())
      const silent = { machine: "memory", bootId: "memory", pid: 7, startTime: 0 }
      yield* takeLease(store, created, silent)
      const fiber = yield* Effect.fork(sandboxes.wait(created))
      yield* TestClock.adjust("59 seconds")
      expect({ dead: [...dead], starts: starts.length }).toEqual({ dead: [], starts: 1 })
      // In steps: a fiber that is just about to sleep is not passed over.
      for (const _ of [1, 2, 3, 4]) yield* TestClock.adjust("500 millis")
      expect({ dead: [...dead], starts: starts.length }).toEqual({ dead: [7], starts: 2 })
      yield* Fiber.interrupt(fiber)
    })
  )

  it.scoped("is left alone while its heartbeat moves", () =>
    Effect.gen(function* () {
      const { layer, starts } = idle()
      const { dead, request, sandboxes, store } = yield* begun(Effect.void, layer)
      const { id: created } = yield* sandboxes.create(request())
      const busy = { machine: "memory", bootId: "memory", pid: 7, startTime: 0 }
      const lease = (yield* takeLease(store, created, busy))!
      const fiber = yield* Effect.fork(sandboxes.wait(created))
      for (const _ of [1, 2]) {
        yield* TestClock.adjust("40 seconds")
        yield* store.lease(created).renew(lease.term)
      }
      expect({ dead: [...dead], starts: starts.length }).toEqual({ dead: [], starts: 1 })
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("cancel", () => {
  it.scopedLive("ends a provision; a second cancel finds it cancelled", () =>
    Effect.gen(function* () {
      const begins = yield* Deferred.make<void>()
      const { request, sandboxes } = yield* begun(
        Effect.zipRight(Deferred.succeed(begins, undefined), Effect.never)
      )
      const { id: created } = yield* sandboxes.create(request())
      yield* Deferred.await(begins)
      yield* sandboxes.cancel(created)
      expect((yield* sandboxes.wait(created)).state).toBe("cancelled")
      yield* sandboxes.cancel(created)
      const events = yield* sandboxes.events(created, 0)
      expect(events.filter(({ type }) => type === "cancelling")).toHaveLength(1)
    })
  )

  it.scopedLive("is refused for a sandbox that ended otherwise or does not exist", () =>
    Effect.gen(function* () {
      const { request, sandboxes } = yield* begun()
      const { id: created } = yield* sandboxes.create(request())
      yield* sandboxes.wait(created)
      expect(yield* Effect.flip(sandboxes.cancel(created))).toMatchObject({
        _tag: "Conflict",
        reason: "ended"
      })
      expect(yield* Effect.flip(sandboxes.cancel(id(1)))).toMatchObject({ _tag: "NotFound" })
    })
  )
})

describe("destroy", () => {
  it.scopedLive("keeps artifacts unless `deleteArtifacts` is set", () =>
    Effect.gen(function* () {
      const { home, request, sandboxes } = yield* begun(publish)
      const make = Effect.flatMap(sandboxes.create(request({ vm_name: "demo" })), (made) =>
        sandboxes.wait(made.id)
      )
      const [first, second] = [yield* make, yield* make]
      const file = ({ artifacts }: typeof first) => artifacts[0]!.path
      const kept = yield* sandboxes.destroy(first.id, { force: false, deleteArtifacts: false })
      expect(kept).toMatchObject({ state: "destroyed", artifacts: first.artifacts })
      expect(existsSync(file(first))).toBe(true)
      const gone = yield* sandboxes.destroy(second.id, { force: false, deleteArtifacts: true })
      expect(gone).toMatchObject({ state: "destroyed", artifacts: [] })
      expect(existsSync(`${home}/artifacts/demo/${second.id}`)).toBe(false)
      // Once more it is as it was.
      yield* sandboxes.destroy(first.id, { force: false, deleteArtifacts: false })
      const events = yield* sandboxes.events(first.id, 0)
      expect(events.filter(({ type }) => type === "destroyed")).toHaveLength(1)
    })
  )

  it.scopedLive("is refused for a running provision unless `force` is set", () =>
    Effect.gen(function* () {
      const begins = yield* Deferred.make<void>()
      const { request, sandboxes } = yield* begun(
        Effect.zipRight(Deferred.succeed(begins, undefined), Effect.never)
      )
      const { id: created } = yield* sandboxes.create(request())
      yield* Deferred.await(begins)
      const options = { force: false, deleteArtifacts: false }
      expect(yield* Effect.flip(sandboxes.destroy(created, options))).toMatchObject({
        _tag: "Conflict",
        reason: "running"
      })
      expect((yield* sandboxes.destroy(created, { ...options, force: true })).state).toBe("destroyed")
      const events = yield* sandboxes.events(created, 0)
      expect(events.map(({ type }) => type).slice(-3)).toEqual(["cancelling", "cancelled", "destroyed"])
    })
  )
})

import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { HostPath, join } from "../../src/domain/HostPath.js"
import { Host } from "../../src/hosts/Host.js"
import { Provision } from "../../src/recipe/Provision.js"
import * as Steps from "../../src/recipe/Steps.js"
import { SandboxStore, type SandboxStoreShape } from "../../src/store/SandboxStore.js"
import { HostMemory, SandboxStoreSql } from "../../src/testing.js"
import { id, plan, platform, requested, sandbox, temporaryFolder } from "../support/inMemory.js"

const folder = HostPath(`/elsewhere/home/jobs/${id(1)}/1`)
const at = new Date(1000)

const begun = Effect.gen(function* () {
  const { store } = yield* SandboxStoreSql.makeMemory()
  const host = yield* HostMemory.make()
  yield* store.create(sandbox(), plan(), requested)
  const take = (seen: number) =>
    store.lease(id(1)).take({ machine: "m", bootId: "b", pid: 1, startTime: 0 }, seen)
  yield* take(0)
  /** Runs a recipe as a supervisor does, in a term; it finds what the ones before it journaled. */
  const run = <A, E>(recipe: (steps: Steps.StepsShape) => Effect.Effect<A, E>, term = 1, attempt = 1) =>
    Effect.provide(
      Effect.flatMap(Steps.Steps, recipe),
      Steps.layer.pipe(
        Layer.provide(
          Layer.mergeAll(
            Layer.succeed(SandboxStore, store),
            Layer.succeed(Host, host),
            Layer.succeed(Provision, { id: id(1), attempt, term, plan: plan(), secrets: {} })
          )
        )
      )
    )
  return { store, host, run, take }
}).pipe(Effect.provide(platform))

/** An effect that counts how often it ran, and gives a time. */
const counted = () => {
  let count = 0
  return {
    effect: Effect.sync(() => {
      count++
      return at
    }),
    count: () => count
  }
}

/** What the recipe journaled, beside the folder that it runs in. */
const journal = (store: SandboxStoreShape) =>
  Effect.map(store.steps(id(1), 1), (all) => all.filter(({ key }) => key !== "folder"))

describe("a step", () => {
  it.scoped("runs once; later its result is read from the journal", () =>
    Effect.gen(function* () {
      const { run, store } = yield* begun
      const { count, effect } = counted()
      for (const _ of [1, 2, 3]) {
        expect(yield* run(({ step }) => step("now", Schema.Date, effect))).toEqual(at)
      }
      expect(count()).toBe(1)
      expect(yield* journal(store)).toEqual([
        { attempt: 1, key: "now", job: null, result: { value: "1970-01-01T00:00:01.000Z" } }
      ])
    })
  )

  it.scoped("without a result also runs once", () =>
    Effect.gen(function* () {
      const { run } = yield* begun
      const { count, effect } = counted()
      for (const _ of [1, 2]) {
        yield* run(({ step }) => step("nothing", Schema.Undefined, Effect.as(effect, undefined)))
      }
      expect(count()).toBe(1)
    })
  )

  it.scoped("runs again if it failed or its supervisor died before the journal entry", () =>
    Effect.gen(function* () {
      const { run, store } = yield* begun
      const { count, effect } = counted()
      yield* Effect.flip(
        run(({ step }) => step("now", Schema.Date, Effect.zipRight(effect, Effect.fail("failed"))))
      )
      yield* Effect.exit(
        run(({ step }) => step("now", Schema.Date, Effect.zipRight(effect, Effect.die("dead"))))
      )
      expect(yield* journal(store)).toEqual([])
      yield* run(({ step }) => step("now", Schema.Date, effect))
      expect(count()).toBe(3)
    })
  )

  it.scoped("of another attempt is a different step", () =>
    Effect.gen(function* () {
      const { run } = yield* begun
      const { count, effect } = counted()
      yield* run(({ step }) => step("now", Schema.Date, effect), 1, 1)
      yield* run(({ step }) => step("now", Schema.Date, effect), 1, 2)
      expect(count()).toBe(2)
    })
  )

  it.scoped("is not journaled by a supervisor that lost its lease", () =>
    Effect.gen(function* () {
      const { run, store, take } = yield* begun
      const result = yield* Effect.flip(
        run(({ step }) => step("now", Schema.Date, Effect.as(Effect.orDie(take(1)), at)), 1)
      )
      expect(result).toMatchObject({ _tag: "StoreError", reason: "lease-lost" })
      expect(yield* journal(store)).toEqual([])
    })
  )
})

describe("a job", () => {
  it.scoped("is journaled with its folder before it starts", () =>
    Effect.gen(function* () {
      const { host, run, store } = yield* begun
      const job = { folder: HostPath(`${folder}/work`), stop: "leader" } as const
      const result = yield* run((steps) =>
        steps.job("work", { schema: Schema.Number, stop: "leader" }, (ref) =>
          Effect.gen(function* () {
            expect(ref).toEqual({ key: "work", folder: job.folder })
            expect((yield* host.info(job.folder))?.type).toBe("folder")
            expect(yield* journal(store)).toEqual([{ attempt: 1, key: "work", job, result: null }])
            return 3
          })
        )
      )
      expect(result).toBe(3)
      expect(yield* journal(store)).toEqual([{ attempt: 1, key: "work", job, result: { value: 3 } }])
    })
  )

  it.scoped("runs again in the same folder until its result is journaled, and then never", () =>
    Effect.gen(function* () {
      const { run } = yield* begun
      const folders: Array<string> = []
      const work = (end: Effect.Effect<number, string>) =>
        run((steps) =>
          steps.job("work", { schema: Schema.Number, stop: "group" }, (ref) => {
            folders.push(ref.folder)
            return end
          })
        )
      yield* Effect.exit(work(Effect.die("dead")))
      yield* Effect.exit(work(Effect.fail("failed")))
      expect(yield* work(Effect.succeed(1))).toBe(1)
      expect(yield* work(Effect.succeed(2))).toBe(1)
      expect(folders).toEqual([`${folder}/work`, `${folder}/work`, `${folder}/work`])
    })
  )
})

it.scoped("each attempt has its own folder", () =>
  Effect.gen(function* () {
    const { host, run } = yield* begun
    expect(yield* run((steps) => Effect.succeed(steps.folder))).toBe(folder)
    expect((yield* host.info(folder))?.type).toBe("folder")
    expect(yield* run((steps) => Effect.succeed(steps.folder), 1, 2)).toBe(
      HostPath(folder.replace(/1$/, "2"))
    )
  })
)

describe("a fence", () => {
  const sync = { exclude: [], gitignore: false, dryRun: false }

  it.scoped("is journaled before it is used, is created by nobody, and is one per term", () =>
    Effect.gen(function* () {
      const { host, run, store } = yield* begun
      const [first, second] = yield* run(({ fence }) => Effect.all([fence, fence]))
      expect([first, second]).toEqual([`${folder}/fence.1`, `${folder}/fence.1`])
      const steps = yield* journal(store)
      expect(steps).toEqual([
        { attempt: 1, key: "fence/1", job: { folder: first, stop: "group" }, result: null }
      ])
      expect(steps.every(Steps.isFence)).toBe(true)
      expect(yield* host.list(folder)).toEqual([])
    })
  )

  it.scoped("of an earlier term is closed once a term has its own", () =>
    Effect.gen(function* () {
      const { host, run, take } = yield* begun
      const shared = HostPath("/elsewhere/work")
      const project = yield* temporaryFolder
      const old = yield* run(({ fence }) => fence)
      yield* host.sync(project, shared, { ...sync, fence: old })
      yield* take(1)
      const own = yield* run(({ fence }) => fence, 2)
      yield* host.write(join(shared, "made"), "by the command")
      expect(yield* Effect.flip(host.sync(project, shared, { ...sync, fence: old }))).toMatchObject({
        message: expect.stringContaining("another supervisor took over")
      })
      expect(yield* host.list(shared)).toEqual(["made"])
      yield* host.sync(project, shared, { ...sync, fence: own })
      expect(yield* host.list(shared)).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is refused to a supervisor that lost the lease", () =>
    Effect.gen(function* () {
      const { run, store, take } = yield* begun
      yield* run(() => Effect.void)
      const late = run((steps) => Effect.zipRight(Effect.orDie(take(1)), steps.fence))
      expect(yield* Effect.flip(late)).toMatchObject({ reason: "lease-lost" })
      expect(yield* journal(store)).toEqual([])
    })
  )
})

/** What tests begin with: records, settings over a folder of their own, and supervisors that can die. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { expect } from "vitest"
import { Artifacts } from "../../src/artifacts/Artifacts.js"
import * as Event from "../../src/domain/events/Event.js"
import type { Holder } from "../../src/domain/Holder.js"
import { join } from "../../src/domain/HostPath.js"
import { Plan } from "../../src/domain/Plan.js"
import { Sandbox, SandboxId } from "../../src/domain/Sandbox.js"
import { Host } from "../../src/hosts/Host.js"
import type { Uptime } from "../../src/hosts/Uptime.js"
import { StateHub } from "../../src/hub/client/StateHub.js"
import { layerRecipes } from "../../src/node.js"
import { Packer } from "../../src/packer/Packer.js"
import { type SupervisionServices, supervise } from "../../src/provisioning/Supervision.js"
import { Supervisors } from "../../src/provisioning/Supervisors.js"
import { type Extension, layerExtensions, type Provisioned } from "../../src/recipe/Extension.js"
import type { RecipeError, RecipeServices } from "../../src/recipe/Recipe.js"
import { Steps } from "../../src/recipe/Steps.js"
import { Secrets, type SecretValues } from "../../src/secrets/Secrets.js"
import { layerHome, type SettingsShape } from "../../src/settings/Settings.js"
import { SandboxStore, type SandboxStoreShape } from "../../src/store/SandboxStore.js"
import {
  HostMemory,
  PackerScripted,
  ProcessIdentityMemory,
  SandboxStoreSql,
  SecretsMemory,
  StateHubMemory,
  UptimeMemory
} from "../../src/testing.js"
import type { Stop } from "./stopping.js"

export const platform = Layer.merge(NodeFileSystem.layer, NodePath.layer)

export const temporaryFolder = Effect.orDie(
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "sandboxer-test-" }))
)

/** The nth id that a test uses. */
export const id = (n: number): SandboxId => SandboxId.make(n.toString(16).padStart(12, "0"))

export const sandbox = (fields: Partial<ConstructorParameters<typeof Sandbox>[0]> = {}): Sandbox =>
  new Sandbox({
    id: id(1),
    name: "demo",
    profile: "profile.test",
    extension: "ext.test",
    mode: "test",
    state: "requested",
    placement: { host: "elsewhere" },
    inputs: {},
    createdAt: DateTime.unsafeMake(0),
    attempt: 1,
    artifacts: [],
    ...fields
  })

/** The first event of a sandbox. */
export const requested = { ...Event.requested("profile.test"), message: "requested" }

/** A note with this key and text. */
export const note = (text: string) => Event.note({ attempt: 1, key: text, message: text, phase: null })

export const plan = (fields: Partial<ConstructorParameters<typeof Plan>[0]> = {}): Plan =>
  new Plan({
    profile: "profile.test",
    extension: "ext.test",
    mode: "test",
    name: null,
    placement: { host: "elsewhere" },
    inputs: {},
    secrets: {},
    ttlSeconds: null,
    timeoutSeconds: null,
    heartbeatSeconds: 30,
    stallSeconds: null,
    hub: { workstream: null, task: null, notes: "all", everySeconds: 0 },
    description: [],
    spec: {},
    ...fields
  })

/** Takes a sandbox's lease for another process, as `hold` does; undefined where `seen` is not the newest term. */
export const takeLease = (store: SandboxStoreShape, of: SandboxId, holder: Holder, seen = 0) =>
  Effect.map(store.lease(of).take(holder, seen), (taken) => (taken ? { id: of, term: seen + 1 } : undefined))

/** A recipe that publishes a file. */
export const publish = Effect.gen(function* () {
  const host = yield* Host
  const steps = yield* Steps
  const artifacts = yield* Artifacts
  const source = join(steps.folder, "image")
  yield* host.write(source, "an image")
  yield* artifacts.publish([{ source, name: "demo.raw", format: "raw", primary: true }], {
    folder: artifacts.defaultFolder("demo"),
    replace: false
  })
})

/** An extension whose one recipe this is. */
export const extensionOf = (recipe: Effect.Effect<unknown, RecipeError, RecipeServices>): Extension => ({
  id: "ext.test",
  description: "A recipe of a test",
  modes: {
    test: {
      description: "Runs it",
      inputs: {},
      plan: () => Effect.succeed({ encoded: {}, description: [], defaultName: undefined }),
      provision: () => Effect.as(recipe, { artifacts: [], endpoint: null } satisfies Provisioned)
    }
  }
})

/**
 * A service that is there for so many more calls, counted over all that share `lives`; then its process is dead:
 * each call is a defect, and nothing that it would do is done.
 */
const mortal = <S extends object>(service: S, lives: { left: number }): S => {
  const living = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => (lives.left-- > 0 ? effect : Effect.die(new Error("this process is dead"))))
  return new Proxy(service, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (Effect.isEffect(value)) return living(value)
      if (typeof value === "object" && value !== null) return mortal(value, lives)
      if (typeof value !== "function") return value
      return (...args: ReadonlyArray<unknown>) => {
        const result: unknown = Reflect.apply(value, target, args)
        if (Effect.isEffect(result)) return living(result)
        return name === "lease" ? mortal(result as object, lives) : result
      }
    }
  })
}

export interface WorldOptions {
  readonly extensions: ReadonlyArray<Extension>
  readonly packer?: Layer.Layer<Packer, never, Host>
  readonly program?: HostMemory.Program
  readonly uptime?: Layer.Layer<Uptime>
  readonly settings?: Partial<SettingsShape>
  /** What the store begins with: the `image` of another world. */
  readonly image?: Uint8Array
}

/** What outlives a supervisor, all in memory but for logs and artifacts; its supervisors are processes 1, 2, … */
export const world = (options: WorldOptions) =>
  Effect.gen(function* () {
    const home = yield* temporaryFolder
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { image, store } = yield* SandboxStoreSql.makeMemory(options.image)
    const host = yield* HostMemory.make(options.program === undefined ? {} : { program: options.program })
    const kept = yield* Layer.build(Layer.merge(SecretsMemory.layer, StateHubMemory.layer))
    const secrets = Context.get(kept, Secrets)
    const dead = new Set<number>()
    const starts: Array<SandboxId> = []

    /** What process `pid` has, which dies at the call behind so many. */
    const services = (pid: number, calls = Number.POSITIVE_INFINITY) => {
      const lives = { left: calls }
      return servicesAs(pid, (service) => mortal(service, lives))
    }
    /** What process `pid` has, each service of it as it is made by `as`. */
    const servicesAs = (
      pid: number,
      as: <S extends object>(service: S) => S,
      packer = options.packer ?? PackerScripted.layer(PackerScripted.building({}))
    ): Layer.Layer<SupervisionServices> =>
      Layer.mergeAll(
        layerRecipes(packer),
        ProcessIdentityMemory.layer(pid, dead),
        Layer.succeed(Supervisors, {
          start: (started) => Effect.sync(() => void starts.push(started)),
          ended: () => Effect.never
        }),
        layerExtensions(options.extensions)
      ).pipe(
        Layer.provideMerge(
          Layer.mergeAll(
            Layer.succeed(SandboxStore, as(store)),
            Layer.succeed(Secrets, as(secrets)),
            Layer.succeed(StateHub, as(Context.get(kept, StateHub))),
            Layer.succeed(FileSystem.FileSystem, as(fs)),
            Layer.succeed(Path.Path, path),
            HostMemory.layer(as(host)),
            options.uptime ?? UptimeMemory.layer(),
            layerHome(home, options.settings)
          )
        )
      )
    const supervised = (n: number, pid = 1, calls?: number) =>
      Effect.provide(supervise(id(n)), services(pid, calls))

    return {
      home,
      store,
      /** A copy of the store's database. */
      image,
      host,
      secrets,
      dead,
      /** Whom a supervisor was to be started for. */
      starts,
      services,
      notes: Context.get(kept, StateHubMemory.Notes),
      /** Records the nth sandbox. */
      record: (n: number, planned: Plan, values: SecretValues = {}) =>
        Effect.orDie(
          Effect.zipRight(
            secrets.put(id(n), 1, values),
            store.create(sandbox({ id: id(n), name: `n${n}` }), planned, requested)
          )
        ),
      /** Supervises the nth sandbox to its end, in process `pid`. */
      supervise: supervised,
      /** Has process `pid` supervise the nth sandbox until it dies at the call behind so many; whether it did. */
      superviseAndDie: (n: number, pid: number, calls: number) =>
        Effect.map(Effect.exit(supervised(n, pid, calls)), ({ _tag }) => {
          dead.add(pid)
          return _tag === "Failure"
        }),
      /** Has process `pid` supervise the nth sandbox, and be stopped; what Packer itself does is not stopped with it. */
      superviseAndStop: (n: number, pid: number, stop: Stop) => {
        const given = options.packer ?? PackerScripted.layer(PackerScripted.building({}))
        const packer = Layer.map(Layer.provide(given, Layer.succeed(Host, host)), (context) =>
          Context.make(Packer, stop.of(Context.get(context, Packer)))
        )
        return Effect.provide(supervise(id(n)), servicesAs(pid, stop.of, packer))
      },
      /** The record of the nth sandbox. */
      get: (n: number) => Effect.flatMap(store.get(id(n)), Effect.fromNullable)
    }
  })

export type World = Effect.Effect.Success<ReturnType<typeof world>>

/** The line for a resource, as the last of the first nine sandboxes in it sees it: the ids, and who of them holds it. */
export const lineOf = (store: SandboxStoreShape, resource: string) =>
  Effect.gen(function* () {
    const all = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8, 9].map(id), (one) =>
      Effect.map(store.place(one, resource, 9), (place) => ({ id: one, ...place }))
    )
    const holding = all.filter(({ holds }) => holds === true).map((one) => one.id)
    const waiting = all.filter(({ holds }) => holds === false)
    const last = waiting.toSorted((a, b) => (a.ahead ?? 0) - (b.ahead ?? 0)).at(-1)
    const line = last === undefined ? holding : [...(last.first ?? []).map((one) => one.id), last.id]
    expect(line).toHaveLength(holding.length + waiting.length)
    return line.map((one) => ({ id: one, holds: holding.includes(one) }))
  })

/** Lets time pass until a fiber has ended. */
export const passTimeUntil = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  TestClock.adjust("1 second").pipe(
    Effect.repeat({ until: () => Effect.map(Fiber.poll(fiber), Option.isSome) }),
    Effect.zipRight(Fiber.join(fiber))
  )

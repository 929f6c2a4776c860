import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { ProvisionError } from "../../../../src/domain/Failure.js"
import { HostPath } from "../../../../src/domain/HostPath.js"
import type { PhaseName } from "../../../../src/domain/Phase.js"
import { watchPacker } from "../../../../src/extensions/vm-packer/build/watchers/watchPacker.js"
import { Host } from "../../../../src/hosts/Host.js"
import { Packer, type PackerEvent } from "../../../../src/packer/Packer.js"
import { Reporter } from "../../../../src/recipe/Reporter.js"
import { Steps } from "../../../../src/recipe/Steps.js"
import { StoreError } from "../../../../src/store/SandboxStore.js"

const folder = HostPath("/jobs/build")
const gib = 1024 ** 3

/** Watches builds whose machines are processes of the Job; returns the world that the watchers see, and their actions. */
const guarding = (machines: ReadonlyArray<string>, freeDisk: number | null = null) =>
  Effect.gen(function* () {
    const world = {
      processes: ["packer", ...machines.map(() => "qemu-system-x86")],
      free: 100 * gib,
      port: undefined as string | undefined,
      /** Output after the last line. */
      piece: "",
      oomKills: 0,
      stopped: 0,
      /** The grace of each stop, in seconds. */
      graces: [] as Array<number>,
      warnings: [] as Array<string>,
      /** The error of every write to the journal, if any. */
      store: undefined as StoreError["reason"] | undefined
    }
    const journal = new Map<string, unknown>()
    const services = Layer.mergeAll(
      Layer.mock(Host, {
        name: "local",
        home: HostPath("/home"),
        programs: { jobs: [], files: [] },
        jobProcesses: () =>
          Effect.sync(() => world.processes.map((name, index) => ({ pid: index + 1, name }))),
        freeBytes: () => Effect.sync(() => world.free),
        run: () => Effect.sync(() => ({ exitCode: 0, stdout: `${world.oomKills}\n`, stderr: "" })),
        followJob: () =>
          Stream.suspend(() => {
            const bytes = new TextEncoder().encode(world.piece)
            return bytes.length === 0 ? Stream.never : Stream.make({ bytes, end: bytes.length })
          }),
        stopJob: (_, { graceSeconds }) =>
          Effect.sync(() => {
            world.stopped++
            world.graces.push(graceSeconds)
            return { killed: 0, left: 0 } as const
          })
      }),
      Layer.mock(Packer, {
        qemuMessage: () => Effect.succeed("terminating on signal 15"),
        awaitedPort: () => Effect.sync(() => world.port)
      }),
      Layer.mock(Reporter, {
        redact: (text) => text,
        warning: (_, message) => Effect.sync(() => void world.warnings.push(message))
      }),
      Layer.mock(Steps, {
        folder,
        step: <A, I, E, R>(key: string, _: Schema.Schema<A, I>, effect: Effect.Effect<A, E, R>) =>
          journal.has(key)
            ? Effect.succeed(journal.get(key) as A)
            : Effect.tap(effect, (value) =>
                world.store === undefined
                  ? Effect.sync(() => journal.set(key, value))
                  : new StoreError({ reason: world.store, message: "no", hint: "" })
              ),
        journaled: <A, I>(key: string, _: Schema.Schema<A, I>) =>
          Effect.sync(() => Option.fromNullable(journal.get(key) as A | undefined))
      })
    )
    const start = Effect.provide(
      watchPacker({ key: "build", folder }, { machines, folders: [folder], freeDisk }),
      services
    )
    const made = yield* start
    const watching = yield* Effect.fork(made.watch)
    const saw = (...events: ReadonlyArray<PackerEvent>) =>
      made.observe([{ end: 0, complete: true, events, overall: undefined }])
    const error = new ProvisionError({ reason: "build-failed", message: "told to stop", hint: "" })
    return {
      world,
      start,
      watching,
      enters: (build: string, phase: PhaseName) => saw({ _tag: "Phase", time: 0, build, phase }),
      prints: (build: string, text: string) => saw({ _tag: "Line", time: 0, build, stream: "say", text }),
      ends: (build: string) => saw({ _tag: "BuildFinished", time: 0, build }),
      passes: (seconds: number) => TestClock.adjust(seconds * 1000),
      /** The root cause of a failure. */
      explained: (given = error) => Effect.flip(made.explain(given)),
      error
    }
  })

describe("the watcher of the machine", () => {
  it.effect("ends a build whose machine is gone while Packer waits for its guest", () =>
    Effect.gen(function* () {
      const { enters, explained, passes, world } = yield* guarding(["qemu"])
      yield* enters("qemu", "connect")
      yield* passes(10)
      world.processes = ["packer"]
      yield* passes(4)
      expect(world.stopped).toBe(0)
      yield* passes(6)
      expect(world.stopped).toBe(1)
      expect(yield* explained()).toMatchObject({
        reason: "hypervisor-died",
        message:
          "qemu: the virtual machine ended while Packer was still in phase connect; it said: terminating on signal 15"
      })
    })
  )

  it.effect("lets a machine restart", () =>
    Effect.gen(function* () {
      const { enters, passes, world } = yield* guarding(["qemu"])
      yield* enters("qemu", "boot")
      yield* passes(10)
      for (let times = 0; times < 5; times++) {
        world.processes = ["packer"]
        yield* passes(3)
        world.processes = ["packer", "qemu-system-x86"]
        yield* passes(3)
      }
      expect(world.stopped).toBe(0)
    })
  )

  it.effect("does not end a build whose machine ends at its shutdown or later", () =>
    Effect.gen(function* () {
      const { ends, enters, passes, world } = yield* guarding(["qemu"])
      yield* enters("qemu", "connect")
      yield* passes(10)
      yield* enters("qemu", "shutdown")
      world.processes = ["packer"]
      yield* passes(40)
      yield* ends("qemu")
      yield* passes(40)
      expect(world.stopped).toBe(0)
    })
  )

  it.effect("does nothing until it has seen a machine, which may have another name", () =>
    Effect.gen(function* () {
      const { enters, passes, world } = yield* guarding(["qemu"])
      world.processes = ["packer", "my-emulator"]
      yield* enters("qemu", "connect")
      yield* passes(40)
      expect(world.stopped).toBe(0)
    })
  )

  it.effect(
    "allows a machine to be gone while it is provisioned and Packer prints, or provisions locally",
    () =>
      Effect.gen(function* () {
        const { enters, passes, prints, world } = yield* guarding(["qemu"])
        yield* enters("qemu", "provision")
        yield* passes(10)
        world.processes = ["packer"]
        for (let times = 0; times < 3; times++) {
          yield* prints("qemu", "still here")
          yield* passes(20)
        }
        expect(world.stopped).toBe(0)
        yield* prints("qemu", "Running local shell script: /tmp/packer-shell1")
        yield* passes(40)
        expect(world.stopped).toBe(0)
        yield* prints("qemu", "Provisioning with shell script: next.sh")
        yield* passes(60)
        expect(world.stopped).toBeGreaterThan(0)
      })
  )

  it.effect("ends Packer only after other builds have ended", () =>
    Effect.gen(function* () {
      const { ends, enters, passes, world } = yield* guarding(["one", "two"])
      yield* enters("one", "connect")
      yield* enters("two", "export")
      yield* passes(10)
      world.processes = ["packer"]
      yield* passes(40)
      expect(world.stopped).toBe(0)
      yield* ends("two")
      yield* passes(10)
      expect(world.stopped).toBeGreaterThan(0)
    })
  )

  it.effect("reports lack of memory if the kernel has counted another kill", () =>
    Effect.gen(function* () {
      const { enters, explained, passes, world } = yield* guarding(["qemu"])
      yield* enters("qemu", "connect")
      yield* passes(10)
      world.processes = ["packer"]
      world.oomKills = 1
      yield* passes(10)
      expect(yield* explained()).toMatchObject({
        reason: "out-of-memory",
        message: expect.stringContaining("the virtual machine ended")
      })
    })
  )
})

describe("the watcher of the port", () => {
  it.effect("ends a build that waits for a port in vain", () =>
    Effect.gen(function* () {
      const { enters, explained, passes, world } = yield* guarding(["qemu"])
      yield* enters("qemu", "create")
      world.port = "8933"
      yield* passes(10)
      expect(world.stopped).toBe(0)
      yield* passes(12)
      expect(world.stopped).toBeGreaterThan(0)
      expect(yield* explained()).toMatchObject({
        reason: "port-taken",
        message: "Packer waits for port 8933, which another program uses"
      })
    })
  )

  it.effect("does not end a build whose port became free", () =>
    Effect.gen(function* () {
      const { enters, explained, error, passes, world } = yield* guarding(["qemu"])
      yield* enters("qemu", "create")
      world.port = "8933"
      yield* passes(10)
      world.port = undefined
      yield* passes(40)
      expect(world.stopped).toBe(0)
      expect(yield* explained()).toBe(error)
    })
  )
})

describe("the watcher of the disk", () => {
  it.effect("warns of a low disk, depending on what the profile asks for", () =>
    Effect.gen(function* () {
      const { passes, world } = yield* guarding([], 2 * gib)
      world.free = gib / 2
      yield* passes(4)
      expect(world.warnings).toEqual([])
      world.free = gib / 10
      yield* passes(4)
      expect(world.warnings[0]).toBe("low disk: 102.4 MiB free for /jobs/build on local")
    })
  )

  it.effect("explains a failure that a disk which was full can cause, and no other", () =>
    Effect.gen(function* () {
      const { explained, passes, world } = yield* guarding([])
      world.free = 4096
      yield* passes(4)
      world.free = gib
      expect(yield* explained()).toMatchObject({ reason: "disk-full" })
      const other = new ProvisionError({ reason: "checksum-mismatch", message: "wrong", hint: "" })
      expect(yield* explained(other)).toBe(other)
    })
  )

  it.effect("ends a build in which Packer prints nothing more while the disk is full", () =>
    Effect.gen(function* () {
      const { explained, passes, prints, world } = yield* guarding([])
      yield* prints("file", "the last word")
      world.free = 4096
      yield* passes(5)
      expect(world.stopped).toBe(0)
      yield* passes(4)
      expect(world.stopped).toBe(1)
      expect(yield* explained()).toMatchObject({
        reason: "disk-full",
        message: "the disk of /jobs/build on local became full: Packer printed nothing more, and was ended"
      })
    })
  )

  it.effect("leaves a Packer alone that goes on printing while the disk is full", () =>
    Effect.gen(function* () {
      const { passes, prints, world } = yield* guarding([])
      world.free = 4096
      for (let times = 0; times < 5; times++) {
        yield* passes(5)
        yield* prints("file", "still here")
      }
      expect(world.stopped).toBe(0)
      yield* passes(10)
      expect(world.stopped).toBe(1)
    })
  )

  it.effect("warns if Packer has printed nothing for a minute since the disk was full", () =>
    Effect.gen(function* () {
      const { passes, prints, world } = yield* guarding([])
      const told = "the disk of /jobs/build on local was full, and Packer has printed nothing since"
      world.free = 4096
      yield* passes(3)
      world.free = 100 * gib
      yield* passes(50)
      expect(world.warnings).not.toContain(told)
      yield* passes(20)
      expect(world.warnings).toContain(told)
      expect(world.stopped).toBe(0)
      yield* prints("file", "here again")
      world.warnings = []
      yield* passes(100)
      expect(world).toMatchObject({ warnings: [], stopped: 0 })
    })
  )
})

describe("the watcher of the output", () => {
  it.effect("ends a build whose output breaks off within a line", () =>
    Effect.gen(function* () {
      const { explained, passes, prints, world } = yield* guarding([])
      yield* prints("file", "the last word")
      world.piece = "1,file,ui,sa"
      yield* passes(15)
      expect(world.stopped).toBe(0)
      yield* passes(20)
      expect(world.graces).toEqual([10])
      expect(yield* explained()).toMatchObject({
        reason: "disk-full",
        message: "the disk of /jobs/build on local became full: Packer's output breaks off within a line"
      })
    })
  )

  it.effect("accepts lines in pieces, and long silence between lines", () =>
    Effect.gen(function* () {
      const { passes, prints, world } = yield* guarding([])
      for (let times = 0; times < 5; times++) {
        world.piece = "1,file,ui,sa"
        yield* passes(8)
        yield* prints("file", "a whole line")
      }
      world.piece = ""
      yield* passes(100)
      expect(world.stopped).toBe(0)
    })
  )
})

describe("the watcher of Packer's processes", () => {
  it.effect("ends a silent Packer that is without the process that builds", () =>
    Effect.gen(function* () {
      const { explained, passes, world } = yield* guarding([])
      world.processes = ["sh", "packer", "packer", "packer"]
      yield* passes(60)
      expect(world.stopped).toBe(0)
      world.processes = ["sh", "packer"]
      yield* passes(8)
      expect(world.stopped).toBe(0)
      yield* passes(6)
      expect(world.graces[0]).toBe(0)
      expect(yield* explained()).toMatchObject({
        reason: "interrupted",
        message: "the process that builds ended, and Packer kept waiting for it"
      })
    })
  )

  it.effect("reports a disk that was full as the root cause", () =>
    Effect.gen(function* () {
      const { explained, passes, world } = yield* guarding([])
      world.processes = ["sh", "packer", "packer", "packer"]
      yield* passes(2)
      world.free = 4096
      yield* passes(2)
      world.free = 100 * gib
      world.processes = ["sh", "packer"]
      yield* passes(20)
      expect(world.graces[0]).toBe(0)
      expect(yield* explained()).toMatchObject({ reason: "disk-full" })
    })
  )

  it.effect("kills a Packer that was asked to end and is without the process that builds", () =>
    Effect.gen(function* () {
      const { explained, passes, world } = yield* guarding([])
      world.processes = ["sh", "packer", "packer", "packer"]
      world.free = 4096
      yield* passes(10)
      expect(world.graces).toEqual([60])
      world.processes = ["sh", "packer"]
      yield* passes(14)
      expect(world.graces.slice(0, 2)).toEqual([60, 0])
      expect(yield* explained()).toMatchObject({
        message: expect.stringContaining("Packer printed nothing more, and was ended")
      })
    })
  )

  it.effect("lets a Packer be silent that never had a second process, or has other ones", () =>
    Effect.gen(function* () {
      const { passes, world } = yield* guarding([])
      world.processes = ["sh", "packer"]
      yield* passes(40)
      world.processes = ["sh", "packer", "packer"]
      yield* passes(40)
      world.processes = ["sh", "packer", "qemu-img"]
      yield* passes(40)
      expect(world.stopped).toBe(0)
    })
  )
})

it.effect("a supervisor that takes over knows that the machine was seen", () =>
  Effect.gen(function* () {
    const { passes, start, world } = yield* guarding(["qemu"])
    yield* passes(10)
    world.processes = ["packer"]
    const next = yield* start
    const fiber = yield* Effect.fork(next.watch)
    yield* next.observe([
      {
        end: 0,
        complete: true,
        overall: undefined,
        events: [{ _tag: "Phase", time: 0, build: "qemu", phase: "connect" }]
      }
    ])
    yield* passes(10)
    expect(world.stopped).toBeGreaterThan(0)
    yield* Fiber.interrupt(fiber)
  })
)

describe("a verdict", () => {
  it.effect("is not carried out by a supervisor that lost the lease", () =>
    Effect.gen(function* () {
      const { passes, watching, world } = yield* guarding(["qemu"])
      world.port = "5900"
      yield* passes(10)
      world.store = "lease-lost"
      yield* passes(60)
      expect(world.stopped).toBe(0)
      expect(yield* Effect.flip(Fiber.join(watching))).toMatchObject({ reason: "lease-lost" })
    })
  )

  it.effect("is carried out by a supervisor that takes over, even if all is well by then", () =>
    Effect.gen(function* () {
      const { error, explained, passes, start, world } = yield* guarding(["qemu"])
      world.port = "5900"
      yield* passes(60)
      expect(world.stopped).toBe(1)
      world.port = undefined
      const next = yield* start
      yield* Effect.fork(next.watch)
      yield* passes(60)
      expect(world.stopped).toBe(2)
      expect(yield* Effect.flip(next.explain(error))).toEqual(yield* explained())
      expect(yield* explained()).toMatchObject({ reason: "port-taken" })
    })
  )

  it.effect("waits for a locked database, but not for a full disk", () =>
    Effect.gen(function* () {
      const { explained, passes, world } = yield* guarding(["qemu"])
      yield* passes(10)
      world.port = "5900"
      world.store = "busy"
      yield* passes(60)
      expect(world.stopped).toBe(0)
      world.store = "not-writable"
      yield* passes(4)
      expect(world.stopped).toBe(1)
      expect(yield* explained()).toMatchObject({ reason: "port-taken" })
    })
  )
})

import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { HostPath, join } from "../../src/domain/HostPath.js"
import { HostMemory } from "../../src/testing.js"
import { platform, temporaryFolder } from "../support/inMemory.js"

const folder = HostPath("/elsewhere/job")
const job = { folder, program: "work", args: [], stop: "group" } as const

const hostOf = (program?: HostMemory.Program) =>
  Effect.gen(function* () {
    const host = yield* HostMemory.make(program === undefined ? {} : { program })
    yield* host.makeFolder(folder)
    return host
  })

/** All that a job prints, to its end. */
const outputOf = (host: HostMemory.MemoryHost, from = 0) =>
  Effect.map(Stream.runCollect(host.followJob(folder, from)), (pieces) =>
    Chunk.toReadonlyArray(pieces)
      .map(({ bytes }) => new TextDecoder().decode(bytes))
      .join("")
  )

describe("files of the host in memory", () => {
  it.scoped("are not on this machine", () =>
    Effect.gen(function* () {
      const local = yield* temporaryFolder
      mkdirSync(`${local}/inner`)
      writeFileSync(`${local}/a`, "one")
      writeFileSync(`${local}/inner/b`, "two")
      const host = yield* hostOf()
      const placed = yield* host.stage(local)
      expect(placed).not.toBe(local)
      expect(yield* host.list(placed)).toEqual(["a", "inner"])
      expect(HostMemory.textOf(host, join(placed, "inner/b"))).toBe("two")
      // A path of this machine is none of the host's, and the other way round.
      expect(yield* host.info(HostPath(local))).toBeUndefined()
      expect((yield* Effect.flip(host.put(placed, folder))).reason).toBe("exists")
      expect((yield* Effect.flip(host.put(placed, join(folder, "x")))).reason).toBe("not-found")
      // Again it is the same place, with what was made there.
      yield* host.write(join(placed, "made"), "made")
      writeFileSync(`${local}/a`, "three")
      expect(yield* host.stage(local)).toBe(placed)
      expect(yield* host.list(placed)).toEqual(["a", "inner", "made"])
      expect(HostMemory.textOf(host, join(placed, "a"))).toBe("three")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("can be put and fetched", () =>
    Effect.gen(function* () {
      const local = yield* temporaryFolder
      const host = yield* hostOf()
      const file = join(folder, "file")
      yield* host.write(file, "text")
      expect(host.files.get(file)?.mode).toBe(0o600)
      expect(yield* host.info(file)).toEqual({ type: "file", sizeBytes: 4 })
      expect(yield* host.sha256(file)).toBe(
        "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"
      )
      yield* host.get(file, `${local}/file`)
      expect(readFileSync(`${local}/file`, "utf8")).toBe("text")
      expect((yield* Effect.flip(host.get(file, `${local}/file`))).reason).toBe("exists")
      yield* host.put(`${local}/file`, join(folder, "copy"))
      expect(HostMemory.textOf(host, join(folder, "copy"))).toBe("text")
      yield* host.remove(folder)
      expect(yield* host.info(folder)).toBeUndefined()
      expect([...host.files.keys()]).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("do not exist until something creates them", () =>
    Effect.gen(function* () {
      const local = yield* temporaryFolder
      const host = yield* hostOf()
      const absent = HostPath("/nowhere/file")
      yield* host.remove(absent)
      for (const asked of [
        host.write(absent, "x"),
        host.get(absent, `${local}/x`),
        host.list(absent),
        host.sha256(absent),
        host.realPath(absent),
        host.stage(`${local}/absent`),
        host.run({ program: "p", args: [], cwd: absent }),
        host.startJob({ ...job, folder: absent }),
        Stream.runDrain(host.followJob(absent, 0))
      ]) {
        expect(
          (yield* Effect.flip(asked as Effect.Effect<unknown, { readonly reason: string }>)).reason
        ).toBe("not-found")
      }
      expect(host.commands).toEqual([])
    }).pipe(Effect.provide(platform))
  )
})

describe("a command on the host in memory", () => {
  it.scoped("returns its output and exit code", () =>
    Effect.gen(function* () {
      const host = yield* hostOf(({ args, program }, { print }) => Effect.as(print(`${program} ${args}`), 3))
      expect(yield* host.run({ program: "a", args: ["b"] })).toEqual({
        exitCode: 3,
        stdout: "a b",
        stderr: ""
      })
      expect(host.commands).toEqual([{ program: "a", args: ["b"] }])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is ended when it takes too long", () =>
    Effect.gen(function* () {
      const host = yield* hostOf(() => Effect.never)
      const fiber = yield* Effect.fork(
        Effect.flip(host.run({ program: "a", args: [] }, { timeoutSeconds: 5 }))
      )
      yield* TestClock.adjust("5 seconds")
      expect((yield* Fiber.join(fiber)).reason).toBe("no-answer")
    }).pipe(Effect.provide(platform))
  )
})

describe("a Job on the host in memory", () => {
  it.scoped("outlives its starter and runs once", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      const host = yield* hostOf((_, { print }) =>
        print("one\n").pipe(
          Effect.zipRight(Deferred.await(go)),
          Effect.zipRight(print("two\n")),
          Effect.as(7)
        )
      )
      expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Absent" })
      yield* Fiber.join(yield* Effect.fork(host.startJob(job)))
      yield* Effect.all([host.startJob(job), host.startJob(job)], { concurrency: 2 })
      expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Running" })
      expect(yield* host.running).toEqual([job])
      const following = yield* Effect.fork(outputOf(host))
      yield* Deferred.succeed(go, undefined)
      expect(yield* Fiber.join(following)).toBe("one\ntwo\n")
      expect(yield* outputOf(host, 4)).toBe("two\n")
      expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 7 })
      expect(host.commands).toHaveLength(1)
    }).pipe(Effect.provide(platform))
  )

  it.scoped.each([
    [60, 0, { _tag: "Exited", exitCode: 143 }],
    [0, 1, { _tag: "Interrupted" }]
  ] as const)("is asked to end, or killed: %s seconds of grace", ([graceSeconds, killed, status]) =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const host = yield* hostOf((_, { print }) =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.zipRight(Effect.never),
          Effect.onInterrupt(() => print("bye\n"))
        )
      )
      yield* host.startJob(job)
      yield* Deferred.await(begun)
      expect(yield* host.stopJob(folder, { stop: "group", graceSeconds })).toEqual({ killed, left: 0 })
      expect(yield* host.running).toEqual([])
      expect(yield* host.jobStatus(folder)).toEqual(status)
      expect(yield* outputOf(host)).toBe("bye\n")
      expect(yield* host.stopJob(folder, { stop: "group", graceSeconds })).toEqual({ killed: 0, left: 0 })
    }).pipe(Effect.provide(platform))
  )

  it.scoped("never starts after it was stopped", () =>
    Effect.gen(function* () {
      const host = yield* hostOf()
      yield* host.stopJob(folder, { stop: "group", graceSeconds: 0 })
      yield* host.startJob(job)
      expect(host.commands).toEqual([])
      expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Interrupted" })
      // Its folder gone, nobody knows of it.
      yield* host.remove(folder)
      expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Absent" })
    }).pipe(Effect.provide(platform))
  )

  it.effect("ends with its host", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const host = yield* Scope.extend(
        hostOf(() => Effect.never),
        scope
      )
      yield* host.startJob(job)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      expect(yield* host.running).toEqual([])
      expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Interrupted" })
    }).pipe(Effect.provide(platform))
  )
})

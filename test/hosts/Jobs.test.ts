import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { HostPath } from "../../src/domain/HostPath.js"
import { Host, HostError, type JobOutput } from "../../src/hosts/Host.js"
import * as Jobs from "../../src/hosts/jobs/Jobs.js"
import { type OutputLine, Reporter } from "../../src/recipe/Reporter.js"
import { runJob } from "../../src/recipe/RunJob.js"
import { defaults } from "../../src/settings/Timing.js"
import { HostMemory } from "../../src/testing.js"
import { platform } from "../support/inMemory.js"

const encoder = new TextEncoder()

/** Output as it comes in pieces of these sizes. */
const pieces = (bytes: Uint8Array, sizes: Iterable<number>): ReadonlyArray<JobOutput> => {
  const found: Array<JobOutput> = []
  let end = 0
  for (const size of sizes) {
    const piece = bytes.subarray(end, end + size)
    end += piece.length
    if (piece.length > 0) found.push({ bytes: piece, end })
  }
  return end < bytes.length ? [...found, { bytes: bytes.subarray(end), end: bytes.length }] : found
}

const linesOf = (output: ReadonlyArray<JobOutput>) =>
  Effect.map(Stream.runCollect(Jobs.lines(Stream.fromIterable(output))), Chunk.toReadonlyArray)

describe("lines of a Job's output", () => {
  it.effect("end at a newline and have the offset after it", () =>
    Effect.gen(function* () {
      const lines = yield* linesOf(pieces(encoder.encode("one\n\ncafé\r\nrest"), [2, 5]))
      expect(lines).toEqual([
        { text: "one", end: 4, complete: true },
        { text: "", end: 5, complete: true },
        { text: "café\r", end: 12, complete: true },
        { text: "rest", end: 16, complete: true }
      ])
    })
  )

  it.effect("continue from the offset where another reader stopped", () =>
    Effect.gen(function* () {
      const output = [{ bytes: encoder.encode("two\nthree\n"), end: 14 }]
      expect(yield* linesOf(output)).toEqual([
        { text: "two", end: 8, complete: true },
        { text: "three", end: 14, complete: true }
      ])
    })
  )

  it.effect("are empty if nothing was printed", () =>
    Effect.map(linesOf([]), (lines) => expect(lines).toEqual([]))
  )

  it.effect("that are too long come in pieces, without splitting a character", () =>
    Effect.gen(function* () {
      const longestLine = defaults.jobs.lineBytes
      for (const text of [
        "x".repeat(longestLine),
        "x".repeat(longestLine + 1),
        `x${"🐧".repeat(longestLine)}`,
        `xy${"é".repeat(longestLine)}`
      ]) {
        for (const ending of ["", "\n", "\nnext\n"]) {
          const bytes = encoder.encode(`${text}${ending}`)
          const lines = yield* linesOf(pieces(bytes, [longestLine - 1, 10]))
          const first = lines.slice(0, lines.findIndex(({ complete }) => complete) + 1)
          expect(first.map((line) => line.text).join("")).toBe(text)
          expect(
            first.map((line) => encoder.encode(line.text).length).every((size) => size <= longestLine)
          ).toBe(true)
          expect(first).toHaveLength(Math.ceil(encoder.encode(text).length / longestLine))
          expect(lines.at(-1)).toMatchObject({ end: bytes.length, complete: true })
        }
      }
    })
  )

  it.effect("do not depend on how the output is cut", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.uint8Array({ maxLength: 300 }).map((bytes) =>
            bytes.map((byte) => (byte % 5 === 0 ? 10 : byte))
          ),
          FastCheck.array(FastCheck.integer({ min: 1, max: 40 })),
          async (bytes, sizes) => {
            const whole = await Effect.runPromise(linesOf(pieces(bytes, [bytes.length])))
            expect(await Effect.runPromise(linesOf(pieces(bytes, sizes)))).toEqual(whole)
          }
        )
      )
    )
  )
})

describe("grouped", () => {
  it.effect("returns what came before a failure, then fails", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const error = yield* Stream.make(1, 2, 3).pipe(
        Stream.concat(Stream.fail("it failed")),
        Jobs.grouped,
        Stream.runForEach((group) => Effect.sync(() => seen.push(...group))),
        Effect.flip
      )
      expect({ error, seen }).toEqual({ error: "it failed", seen: [1, 2, 3] })
    })
  )
})

/** Runs a job in a folder of its own; gives what it came to, and what was said. */
const running = (
  program: HostMemory.Program,
  before: (host: HostMemory.MemoryHost) => Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function* () {
    const said: Array<OutputLine> = []
    const host = yield* HostMemory.make({ program })
    const folder = HostPath("/elsewhere/job")
    yield* host.makeFolder(folder)
    yield* before(host)
    const reporter = Reporter.of({
      phase: () => Effect.void,
      note: () => Effect.void,
      warning: () => Effect.void,
      output: (lines) => Effect.sync(() => void said.push(...lines)),
      keep: (name) => Effect.succeed(name),
      settle: Effect.void,
      overdue: Effect.never,
      tail: Effect.succeed([]),
      redact: (text) => text
    })
    const result = yield* Effect.either(
      Effect.provide(
        runJob({ key: "work", folder }, { program: "work", args: ["hard"], stop: "group" }),
        Layer.merge(Layer.succeed(Host, host), Layer.succeed(Reporter, reporter))
      )
    )
    return { host, result, said: said.map(({ end, job, text }) => [job, end, text]) }
  }).pipe(Effect.provide(platform))

const job = { folder: HostPath("/elsewhere/job"), program: "work", args: ["hard"], stop: "group" } as const
const printing: HostMemory.Program = (_, { print }) => Effect.as(print("one\ntwo\n"), 3)

describe("runJob", () => {
  it.scoped("returns the exit code and reports the output", () =>
    Effect.gen(function* () {
      const { host, result, said } = yield* running(printing, () => Effect.void)
      expect(result).toMatchObject({ _tag: "Right", right: 3 })
      expect(said).toEqual([
        ["work", 4, "one"],
        ["work", 8, "two"]
      ])
      expect(host.commands).toMatchObject([{ program: "work", args: ["hard"] }])
    })
  )

  it.scoped("follows a Job that already runs", () =>
    Effect.gen(function* () {
      const { host, result, said } = yield* running(printing, (before) => before.startJob(job))
      expect(result).toMatchObject({ _tag: "Right", right: 3 })
      expect(said).toHaveLength(2)
      expect(host.commands).toHaveLength(1)
    })
  )

  it.scoped("fails if the Job was killed", () =>
    Effect.gen(function* () {
      const never: HostMemory.Program = (_, { print }) => Effect.zipRight(print("on my way\n"), Effect.never)
      const { result, said } = yield* running(never, (before) =>
        before
          .startJob(job)
          .pipe(
            Effect.zipRight(Stream.runHead(before.followJob(job.folder, 0))),
            Effect.zipRight(before.stopJob(job.folder, { stop: "group", graceSeconds: 0 }))
          )
      )
      expect(result).toMatchObject({ _tag: "Left", left: { _tag: "ProvisionError", reason: "interrupted" } })
      expect(said).toEqual([["work", 10, "on my way"]])
    })
  )

  it.scoped("fails if its host fails", () =>
    Effect.gen(function* () {
      const { result } = yield* running(printing, (before) => before.remove(HostPath("/elsewhere/job")))
      expect(result).toMatchObject({ _tag: "Left", left: { _tag: "HostError", reason: "not-found" } })
    })
  )

  it.scoped("returns the exit code for a program that does not exist", () =>
    Effect.gen(function* () {
      const error = new HostError({
        reason: "program-missing",
        host: "h",
        message: "no work here",
        hint: "h"
      })
      const { result, said } = yield* running(
        () => error,
        () => Effect.void
      )
      expect(result).toMatchObject({ _tag: "Right", right: 1 })
      expect(said).toEqual([["work", 13, "no work here"]])
    })
  )
})

import { appendFileSync, rmSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Extension } from "../../src/recipe/Extension.js"
import type { LogOptions } from "../../src/sandboxes/Sandboxes.js"
import { id, note, plan, requested, sandbox } from "../support/inMemory.js"
import { manager } from "./manager.js"

const extension: Extension = { id: "ext.test", description: "An extension of a test", modes: {} }

/** A manager of a sandbox that was requested, and whose log has this text. */
const logged = (text: string) =>
  Effect.gen(function* () {
    const { folder, sandboxes, store } = yield* manager(extension, {})
    const file = `${folder}/1.log`
    writeFileSync(file, text)
    yield* store.create(sandbox({ id: id(1), logPath: file }), plan(), requested)
    const log = (options?: LogOptions) => Stream.decodeText(sandboxes.log(id(1), options))
    /** Writes a change to the record. */
    const change = (state: "requested" | "failed", logPath: string | null) =>
      store.transition(id(1), ["requested"], { state, logPath }, note(`${state}/${logPath}`))
    return { change, file, folder, log, read: (options?: LogOptions) => Stream.mkString(log(options)) }
  })

describe("the log of a sandbox", () => {
  it.scoped("returns what was printed so far", () =>
    Effect.gen(function* () {
      // Longer than what is read at once, with characters of several bytes that are cut in two there.
      const text = "ü–日\n".repeat(20_000)
      const { change, read } = yield* logged(text)
      expect((yield* read()) === text).toBe(true)
      yield* change("requested", null)
      expect(yield* read()).toBe("")
    })
  )

  it.scoped("returns a number of last lines", () =>
    Effect.gen(function* () {
      const long = `${"x".repeat(70_000)}\n`
      const { file, read } = yield* logged(`first\n${long}${long}last\n`)
      expect(yield* read({ tail: 1 })).toBe("last\n")
      expect((yield* read({ tail: 2 })) === `${long}last\n`).toBe(true)
      expect((yield* read({ tail: 3 })) === `${long}${long}last\n`).toBe(true)
      for (const tail of [4, 5]) expect((yield* read({ tail })).startsWith("first\nx")).toBe(true)
      for (const tail of [0, -1]) expect(yield* read({ tail })).toBe("")
      appendFileSync(file, "unfinished")
      expect(yield* read({ tail: 1 })).toBe("unfinished")
      writeFileSync(file, "")
      expect(yield* read({ tail: 1 })).toBe("")
      writeFileSync(file, "\n\n")
      expect(yield* read({ tail: 1 })).toBe("\n")
    })
  )

  it.scopedLive("follows until the provision has ended, also in the file of another supervisor", () =>
    Effect.gen(function* () {
      const { change, file, folder, log } = yield* logged("one\ntwo\n")
      const pieces = yield* Queue.unbounded<string>()
      const following = yield* Effect.fork(
        Stream.runForEach(log({ follow: true, tail: 1 }), (piece) => Queue.offer(pieces, piece))
      )
      expect(yield* Queue.take(pieces)).toBe("two\n")
      appendFileSync(file, "three\n")
      expect(yield* Queue.take(pieces)).toBe("three\n")
      // It is not written yet when the record names it.
      yield* change("requested", `${folder}/2.log`)
      writeFileSync(`${folder}/2.log`, "one\ntwo\nthree\nfour\n")
      expect(yield* Queue.take(pieces)).toBe("four\n")
      appendFileSync(`${folder}/2.log`, "five\n")
      yield* change("failed", `${folder}/2.log`)
      yield* Fiber.join(following)
      expect(yield* Queue.take(pieces)).toBe("five\n")
      expect(yield* Queue.size(pieces)).toBe(0)
    })
  )

  it.scoped.each([{}, { follow: true }, { tail: 2 }])("fails if the file was removed: %j", (options) =>
    Effect.gen(function* () {
      const { change, file, read } = yield* logged("one\n")
      yield* change("failed", file)
      rmSync(file)
      expect(yield* Effect.flip(read(options))).toMatchObject({
        _tag: "NotFound",
        reason: "log",
        hint: `it was at ${file}`
      })
    })
  )
})

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { Provision } from "../../src/recipe/Provision.js"
import { type OutputLine, Reporter, type ReporterShape } from "../../src/recipe/Reporter.js"
import * as ReporterStore from "../../src/recipe/store/ReporterStore.js"
import { layerHome } from "../../src/settings/Settings.js"
import { SandboxStore } from "../../src/store/SandboxStore.js"
import { SandboxStoreSql, UptimeMemory } from "../../src/testing.js"
import { id, plan, platform, requested, sandbox, temporaryFolder } from "../support/inMemory.js"

const holder = { machine: "m", bootId: "b", pid: 1, startTime: 0 }
const secret = "correct-horse"

const begun = (planned = plan()) =>
  Effect.gen(function* () {
    const home = yield* temporaryFolder
    const { store } = yield* SandboxStoreSql.makeMemory()
    yield* store.create(sandbox(), planned, requested)
    let terms = 0
    /** Reports as the next term does, to its end. */
    const reporting = <A, E>(report: (reporter: ReporterShape) => Effect.Effect<A, E>) =>
      Effect.gen(function* () {
        yield* store.lease(id(1)).take(holder, terms)
        terms++
        const secrets = { password: Redacted.make(secret) }
        const shape = { id: id(1), attempt: 1, term: terms, plan: planned, secrets }
        return yield* Effect.provide(
          Effect.flatMap(Reporter, report),
          ReporterStore.layer.pipe(
            Layer.provide(
              Layer.mergeAll(
                Layer.succeed(SandboxStore, store),
                Layer.succeed(Provision, shape),
                layerHome(home),
                UptimeMemory.layer(),
                platform
              )
            )
          )
        )
      })
    const record = Effect.flatMap(store.get(id(1)), Effect.fromNullable)
    return {
      store,
      reporting,
      record,
      logs: () => readdirSync(`${home}/logs`),
      log: Effect.map(record, ({ logPath }) => readFileSync(logPath ?? "", "utf8")),
      events: Effect.map(store.events(id(1), 1), (events) =>
        events.map(({ message, phase, type }) => [type, phase, message])
      )
    }
  }).pipe(Effect.provide(platform))

const line = (text: string, end: number, job = "build"): OutputLine => ({ job, end, text, complete: true })
const piece = (text: string, end: number): OutputLine => ({ job: "build", end, text, complete: false })

describe("phases", () => {
  it.scoped("only move forward and are reported once", () =>
    Effect.gen(function* () {
      const { events, record, reporting } = yield* begun()
      yield* reporting(({ phase }) =>
        Effect.all([phase("preflight"), phase("connect", { at: 5000 }), phase("boot"), phase("connect")])
      )
      expect(yield* events).toEqual([
        ["phase", "preflight", "preflight"],
        ["phase", "connect", "connect"],
        ["phase", "boot", "boot"]
      ])
      expect((yield* record).phase).toEqual({
        name: "connect",
        startedAt: DateTime.unsafeMake(5000),
        percent: null,
        etaSeconds: null
      })
    })
  )

  it.scoped("that the next term passes again leave no trace", () =>
    Effect.gen(function* () {
      const { events, record, reporting } = yield* begun()
      yield* reporting(({ phase }) => Effect.all([phase("preflight"), phase("provision")]))
      const before = yield* record
      yield* TestClock.adjust("1 hour")
      yield* reporting(({ phase }) => Effect.all([phase("preflight"), phase("provision")]))
      expect((yield* record).phase).toEqual(before.phase)
      expect(yield* events).toHaveLength(2)
    })
  )

  it.scoped("of several builds are reported for each; the sandbox is in that of the slowest build", () =>
    Effect.gen(function* () {
      const { events, record, reporting } = yield* begun()
      yield* reporting(({ phase }) =>
        Effect.all([
          phase("boot", { build: "a", overall: "boot" }),
          phase("boot", { build: "b", overall: "boot" }),
          phase("provision", { build: "a", overall: "boot" })
        ])
      )
      expect(yield* events).toEqual([
        ["phase", "boot", "a: boot"],
        ["phase", "boot", "b: boot"],
        ["phase", "provision", "a: provision"]
      ])
      expect((yield* record).phase?.name).toBe("boot")
    })
  )
})

describe("notes and warnings", () => {
  it.scoped("are recorded once, in the current phase, without secrets", () =>
    Effect.gen(function* () {
      const { events, reporting } = yield* begun()
      yield* reporting(({ note, phase, warning }) =>
        Effect.all([
          note("early", "before"),
          phase("boot"),
          note("a", `it is ${secret}`),
          note("a", "again"),
          warning("a", `not ${secret}`),
          warning(`key ${secret}`, "by key")
        ])
      )
      yield* reporting(({ note }) => note("a", "and again"))
      expect(yield* events).toEqual([
        ["note", null, "before"],
        ["phase", "boot", "boot"],
        ["note", "boot", "it is [redacted]"],
        ["warning", "boot", "not [redacted]"],
        ["warning", "boot", "by key"]
      ])
    })
  )
})

describe("too many reports", () => {
  const warnings = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => `w${from + index}`)

  it.scoped("are summed up in one event from time to time, so that events per minute are bounded", () =>
    Effect.gen(function* () {
      const { events, reporting } = yield* begun(plan({ heartbeatSeconds: 3600 }))
      yield* reporting(({ warning }) =>
        Effect.gen(function* () {
          // Each second ten more.
          for (let second = 0; second < 60; second++) {
            yield* Effect.forEach(warnings(second * 10, second * 10 + 9), (key) => warning(key, key))
            yield* TestClock.adjust("1 second")
          }
        })
      )
      const said = (yield* events).map(([, , message]) => String(message))
      const told = said.filter((message) => message.startsWith("w"))
      const leftOut = said.flatMap((message) => /^(\d+) more/.exec(message)?.[1] ?? [])
      // What may be said at once, and what a minute allows.
      expect(told.length).toBeGreaterThanOrEqual(150)
      expect(told.length).toBeLessThanOrEqual(161)
      expect(leftOut.length).toBeGreaterThanOrEqual(4)
      expect(leftOut.length).toBeLessThanOrEqual(6)
      expect(new Set(said).size).toBe(said.length)
    })
  )

  it.scoped("are counted at the end, and the last one is reported", () =>
    Effect.gen(function* () {
      const { events, reporting } = yield* begun()
      yield* reporting(({ note, settle, warning }) =>
        Effect.gen(function* () {
          yield* Effect.forEach(warnings(1, 130), (key) => note(key, key))
          yield* warning("last", `with ${secret}`)
          yield* settle
          yield* settle
        })
      )
      const all = yield* events
      expect(all).toHaveLength(101)
      expect(all.at(-1)).toEqual([
        "warning",
        null,
        "31 more were left out, as 60 a minute are kept; the last: with [redacted]"
      ])
    })
  )

  it.scoped("do not include reports that an earlier term made already", () =>
    Effect.gen(function* () {
      const { events, reporting } = yield* begun()
      const sayAll = ({ note, settle }: ReporterShape) =>
        Effect.zipRight(
          Effect.forEach([...warnings(1, 90), ...warnings(1, 90)], (key) => note(key, key)),
          settle
        )
      yield* reporting(sayAll)
      yield* reporting(sayAll)
      expect(yield* events).toHaveLength(90)
    })
  )

  it.scoped("cannot hide the real phase behind phases that a guest prints", () =>
    Effect.gen(function* () {
      const { events, record, reporting } = yield* begun()
      yield* reporting(({ phase }) =>
        Effect.gen(function* () {
          yield* phase("create", { build: "a", overall: "create" })
          for (const build of warnings(1, 300)) yield* phase("boot", { build, overall: "create" })
          yield* phase("provision", { build: "a", overall: "provision" })
        })
      )
      expect((yield* record).phase?.name).toBe("provision")
      const all = yield* events
      expect(all).toHaveLength(102)
      expect(all.at(-1)).toEqual(["phase", "provision", "a: provision"])
    })
  )
})

describe("the log", () => {
  it.scoped("is private and contains no secret, however the output was split", () =>
    Effect.gen(function* () {
      const { log, record, reporting } = yield* begun()
      yield* reporting(({ output }) =>
        Effect.all([
          output([line(`the password is ${secret}`, 1), piece("in pieces: correct-", 2)]),
          output([piece("hor", 3)]),
          output([line("se!", 4)])
        ])
      )
      expect(yield* log).toBe("the password is [redacted]\nin pieces: [redacted]!\n")
      expect(statSync((yield* record).logPath ?? "").mode & 0o777).toBe(0o600)
    })
  )

  it.scoped("has each line once, whichever term reads it again", () =>
    Effect.gen(function* () {
      const { log, logs, record, reporting } = yield* begun()
      const all = [line("one", 4), line("other", 6, "other job"), line("two", 8), line("three", 14)]
      yield* reporting(({ output }) => output(all.slice(0, 3)))
      const first = (yield* record).logPath ?? ""
      yield* reporting(({ output }) => output(all))
      expect(yield* log).toBe("one\nother\ntwo\nthree\n")
      // One log: that of the newest term.
      expect(existsSync(first)).toBe(false)
      expect(logs()).toEqual([`${id(1)}.2.log`])
    })
  )

  it.scoped("keeps the complete lines of the previous term", () =>
    Effect.gen(function* () {
      const { log, reporting, store } = yield* begun()
      yield* reporting(({ output }) => output([line("one", 4), piece("begin", 9)]))
      expect(yield* store.log(id(1))).toMatchObject({ length: 4, offsets: { build: 4 } })
      yield* reporting(({ output }) => output([line("one", 4), piece("begin", 9), line("ning", 14)]))
      expect(yield* log).toBe("one\nbeginning\n")
    })
  )

  it.scoped("counts bytes, not characters", () =>
    Effect.gen(function* () {
      const { log, reporting, store } = yield* begun()
      yield* reporting(({ output }) => Effect.all([output([line("café 🐧", 11)]), output([line("two", 15)])]))
      expect(yield* store.log(id(1))).toMatchObject({ length: 15, offsets: { build: 15 } })
      yield* reporting(({ output }) => output([line("three", 21)]))
      expect(yield* log).toBe("café 🐧\ntwo\nthree\n")
    })
  )

  it.scoped("has a tail that includes lines of the previous term", () =>
    Effect.gen(function* () {
      const { reporting } = yield* begun()
      const lines = Array.from({ length: 30 }, (_, n) => line(`line ${n} ${secret}`, n + 1))
      const first = yield* reporting(({ output, tail }) => Effect.zipRight(output(lines), tail))
      expect(first).toEqual(Array.from({ length: 20 }, (_, n) => `line ${n + 10} [redacted]`))
      const second = yield* reporting(({ output, tail }) => Effect.zipRight(output([line("31", 31)]), tail))
      expect(second).toEqual([...first.slice(1), "31"])
    })
  )

  it.scoped("shows only the beginning of a very long last line", () =>
    Effect.gen(function* () {
      const { reporting } = yield* begun()
      const [tail] = yield* reporting((reporter) =>
        Effect.zipRight(reporter.output([line("x".repeat(100_000), 1)]), reporter.tail)
      )
      expect(tail).toBe("x".repeat(1000))
    })
  )
})

describe("silence", () => {
  it.scoped("leads to heartbeat events", () =>
    Effect.gen(function* () {
      const { events, reporting } = yield* begun(plan({ heartbeatSeconds: 30 }))
      yield* reporting(({ phase }) => Effect.zipRight(phase("boot"), TestClock.adjust("95 seconds")))
      const beats = (yield* events).filter(([type]) => type === "heartbeat")
      expect(beats).toHaveLength(3)
      expect(beats[0]).toEqual(["heartbeat", "boot", "boot: 30 s so far"])
    })
  )

  it.scoped("the heartbeat shows the last printed line, redacted", () =>
    Effect.gen(function* () {
      const { reporting, store } = yield* begun(plan({ heartbeatSeconds: 30 }))
      yield* reporting(({ output }) =>
        output([
          line("    qemu: \u001b[1minstalling ghc\u001b[m", 1),
          line(`with ${secret}`, 2),
          line("", 3)
        ]).pipe(Effect.zipRight(TestClock.adjust("31 seconds")))
      )
      const beat = (yield* store.events(id(1), 0)).find(({ type }) => type === "heartbeat")
      expect(beat?.data).toEqual({ tail: "with [redacted]" })
    })
  )

  it.scoped("leads to one warning for each silence", () =>
    Effect.gen(function* () {
      const { events, reporting } = yield* begun(plan({ heartbeatSeconds: 3600, stallSeconds: 60 }))
      yield* reporting(({ output }) =>
        TestClock.adjust("150 seconds").pipe(
          Effect.zipRight(output([line("at last", 1)])),
          Effect.zipRight(TestClock.adjust("59 seconds"))
        )
      )
      const warnings = Effect.map(events, (all) => all.filter(([type]) => type === "warning"))
      expect(yield* warnings).toEqual([["warning", null, "nothing was printed for 1 min 00 s"]])
      yield* reporting(() => TestClock.adjust("61 seconds"))
      expect(yield* warnings).toHaveLength(2)
    })
  )
})

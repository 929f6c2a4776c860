import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { bootId, processesWith, processInfo } from "../../src/internal/Proc.js"
import { detach, type ProcessCommand, signal } from "../../src/internal/Processes.js"
import { lives, until } from "./until.js"

const mark = "SANDBOXER_TEST_MARK"
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-proc-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A process in a group of its own, which ends with the test. */
const start = (command: Partial<ProcessCommand>): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.orDie(detach({ program: "sleep", args: ["1000"], ...command })), (pid) =>
    Effect.zipRight(
      signal(-pid, "SIGKILL"),
      until(`the end of ${pid}`, () => !lives(pid))
    )
  )

const sh = (line: string): Partial<ProcessCommand> => ({ program: "sh", args: ["-c", line], cwd: folder })

const marked = (value: string, led?: number) =>
  processesWith(mark, value, led)
    .map(({ pid }) => pid)
    .sort()

const written = (name: string) =>
  until(name, () => {
    try {
      return Number(readFileSync(join(folder, name), "utf8").trim()) || undefined
    } catch {
      return undefined
    }
  })

describe("a process", () => {
  it.scopedLive("is told apart by its start, and has its group", () =>
    Effect.gen(function* () {
      const pid = yield* start({})
      const info = processInfo(pid)
      expect(info).toEqual({ pid, name: "sleep", group: pid, startTime: info?.startTime, zombie: false })
      expect(info?.startTime).toBeGreaterThan(processInfo(1)?.startTime ?? Number.NaN)
      expect(processInfo(pid)).toEqual(info)
    })
  )

  it.scopedLive("may have any name", () =>
    Effect.gen(function* () {
      const program = join(folder, "a) Z 1 (b")
      copyFileSync("/bin/sleep", program)
      const pid = yield* start({ program })
      yield* until("its name", () => readFileSync(`/proc/${pid}/stat`, "utf8").includes("a) Z 1 (b"))
      expect(processInfo(pid)).toMatchObject({ group: pid, zombie: false })
    })
  )

  it.scopedLive("that has ended is a zombie until somebody is told", () =>
    Effect.gen(function* () {
      const parent = yield* start({
        // It ends once its parent is no shell any more, which would be told.
        ...sh(
          `sh -c 'until [ "$(cat /proc/$PPID/comm)" = sleep ]; do :; done' & echo $! >child; exec sleep 1000`
        ),
        env: { [mark]: folder }
      })
      const child = yield* written("child")
      yield* until("the zombie", () => processInfo(child)?.zombie)
      expect(processInfo(child)?.group).toBe(parent)
      expect(marked(folder)).toEqual([parent])
    })
  )

  it("may not be there", () => {
    expect(processInfo(2 ** 30)).toBeUndefined()
    expect(processInfo(process.pid)?.pid).toBe(process.pid)
  })
})

describe("processes with a variable", () => {
  it.scopedLive("are found by its whole value", () =>
    Effect.gen(function* () {
      const value = `${folder}/ä b=c`
      const pid = yield* start({ env: { [mark]: value } })
      const other = yield* start({ env: { [mark]: `${value}/d` } })
      yield* start({ env: { [`X_${mark}`]: value } })
      expect(marked(value)).toEqual([pid])
      expect(marked(`${value}/d`)).toEqual([other])
      expect(marked(folder)).toEqual([])
    })
  )

  it.scopedLive("are found with the others of their groups, whatever those have", () =>
    Effect.gen(function* () {
      const pid = yield* start({
        ...sh("env -i sh -c 'echo $$ >child; exec sleep 1000' & wait"),
        env: { [mark]: folder }
      })
      const child = yield* written("child")
      expect(marked(folder)).toEqual([pid, child].sort())
    })
  )

  it.scopedLive("are found where they left their group", () =>
    Effect.gen(function* () {
      const pid = yield* start({
        ...sh("setsid sh -c 'echo $$ >child; exec sleep 1000' & wait"),
        env: { [mark]: folder }
      })
      const child = yield* written("child")
      yield* Effect.addFinalizer(() => signal(child, "SIGKILL"))
      expect(processInfo(child)?.group).toBe(child)
      expect(marked(folder)).toEqual([pid, child].sort())
    })
  )

  it.scopedLive("are found in the group that one of them led, when that one is gone", () =>
    Effect.gen(function* () {
      const pid = yield* start({
        ...sh("env -i sh -c 'echo $$ >child; exec sleep 1000' & wait"),
        env: { [mark]: folder }
      })
      const child = yield* written("child")
      yield* signal(pid, "SIGKILL")
      yield* until("the end of the leader", () => !lives(pid))
      expect(marked(folder)).toEqual([])
      expect(marked(folder, pid)).toEqual([child])
    })
  )

  it.scopedLive("are not those whose group has the number of one that is gone", () =>
    Effect.gen(function* () {
      const stranger = yield* start({})
      expect(marked(folder, stranger)).toEqual([])
    })
  )

  it("are never those of our own group alone", () => {
    const name = "PATH"
    const found = processesWith(name, process.env[name] ?? "").map(({ pid }) => pid)
    expect(found).toContain(process.pid)
    expect(found).not.toContain(1)
  })
})

it("a boot has an id", () => {
  expect(bootId()).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  expect(bootId()).toBe(bootId())
})

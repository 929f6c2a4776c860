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

describe("/proc: a process", () => {
  it.scopedLive("is identified by its start time and reports its process group", () =>
    Effect.gen(function* () {
      const pid = yield* start({})
      const info = processInfo(pid)
      expect(info).toEqual({ pid, name: "sleep", group: pid, startTime: info?.startTime, zombie: false })
      expect(info?.startTime).toBeGreaterThan(processInfo(1)?.startTime ?? Number.NaN)
      expect(processInfo(pid)).toEqual(info)
    })
  )

  it.scopedLive("may have any name, including spaces and brackets", () =>
    Effect.gen(function* () {
      const program = join(folder, "a) Z 1 (b")
      copyFileSync("/bin/sleep", program)
      const pid = yield* start({ program })
      yield* until("its name", () => readFileSync(`/proc/${pid}/stat`, "utf8").includes("a) Z 1 (b"))
      expect(processInfo(pid)).toMatchObject({ group: pid, zombie: false })
    })
  )

  it.scopedLive("that ended and was not reaped is reported as a zombie", () =>
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

  it("that does not exist gives undefined", () => {
    expect(processInfo(2 ** 30)).toBeUndefined()
    expect(processInfo(process.pid)?.pid).toBe(process.pid)
  })
})

describe("/proc: processes with a given environment variable", () => {
  it.scopedLive("are found by the whole value, not by a prefix", () =>
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

  it.scopedLive("are found together with the members of their process groups", () =>
    Effect.gen(function* () {
      const pid = yield* start({
        ...sh("env -i sh -c 'echo $$ >child; exec sleep 1000' & wait"),
        env: { [mark]: folder }
      })
      const child = yield* written("child")
      expect(marked(folder)).toEqual([pid, child].sort())
    })
  )

  it.scopedLive("are found after they left their process group", () =>
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

  it.scopedLive("are found in the group of a leader that is gone", () =>
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

  it.scopedLive("do not include a group that reused the number of an old one", () =>
    Effect.gen(function* () {
      const stranger = yield* start({})
      expect(marked(folder, stranger)).toEqual([])
    })
  )

  it("never include our own process group just because of its number", () => {
    const name = "PATH"
    const found = processesWith(name, process.env[name] ?? "").map(({ pid }) => pid)
    expect(found).toContain(process.pid)
    expect(found).not.toContain(1)
  })
})

it("the boot id of this machine can be read", () => {
  expect(bootId()).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  expect(bootId()).toBe(bootId())
})

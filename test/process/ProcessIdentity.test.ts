import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Holder } from "../../src/domain/Holder.js"
import { bootId, processInfo } from "../../src/internal/Proc.js"
import { detach, signal } from "../../src/internal/Processes.js"
import { ProcessIdentity } from "../../src/store/ProcessIdentity.js"
import * as ProcessIdentityProc from "../../src/store/proc/ProcessIdentityProc.js"
import { lives, until } from "./until.js"

/** A process of this machine, as a holder, which ends with the test. */
const another = Effect.gen(function* () {
  const { self } = yield* ProcessIdentity
  const pid = yield* Effect.acquireRelease(
    Effect.orDie(detach({ program: "sleep", args: ["1000"] })),
    (started) => signal(started, "SIGKILL")
  )
  return { ...self, pid, startTime: processInfo(pid)?.startTime ?? 0 } satisfies Holder
})

describe("the holder of a lease", () => {
  it.effect("identifies this process by machine, boot, pid and start time", () =>
    Effect.gen(function* () {
      const { mayBeAlive, self } = yield* ProcessIdentity
      expect(self).toMatchObject({
        pid: process.pid,
        bootId: bootId(),
        startTime: processInfo(process.pid)?.startTime
      })
      expect(self.machine).not.toBe("")
      expect(yield* mayBeAlive(self)).toBe(true)
    }).pipe(Effect.provide(ProcessIdentityProc.layer))
  )

  it.scopedLive("is alive until its process ends", () =>
    Effect.gen(function* () {
      const { mayBeAlive } = yield* ProcessIdentity
      const holder = yield* another
      expect(yield* mayBeAlive(holder)).toBe(true)
      yield* signal(holder.pid, "SIGKILL")
      yield* until("its end", () => !lives(holder.pid))
      expect(yield* mayBeAlive(holder)).toBe(false)
    }).pipe(Effect.provide(ProcessIdentityProc.layer))
  )

  it.scopedLive("is not another process with the same pid, nor one from another boot", () =>
    Effect.gen(function* () {
      const { kill, mayBeAlive } = yield* ProcessIdentity
      const holder = yield* another
      for (const other of [
        { ...holder, startTime: holder.startTime - 1 },
        { ...holder, bootId: "00000000-0000-0000-0000-000000000000" }
      ]) {
        expect(yield* mayBeAlive(other)).toBe(false)
        yield* kill(other)
      }
      expect(lives(holder.pid)).toBe(true)
    }).pipe(Effect.provide(ProcessIdentityProc.layer))
  )

  it.scopedLive("on another machine counts as alive and is never killed from here", () =>
    Effect.gen(function* () {
      const { kill, mayBeAlive } = yield* ProcessIdentity
      const holder = { ...(yield* another), machine: "elsewhere" }
      expect(yield* mayBeAlive(holder)).toBe(true)
      yield* kill(holder)
      expect(lives(holder.pid)).toBe(true)
    }).pipe(Effect.provide(ProcessIdentityProc.layer))
  )

  it.scopedLive("is killed only if pid and start time match", () =>
    Effect.gen(function* () {
      const { kill } = yield* ProcessIdentity
      const holder = yield* another
      yield* kill(holder)
      yield* until("its end", () => !lives(holder.pid))
    }).pipe(Effect.provide(ProcessIdentityProc.layer))
  )
})

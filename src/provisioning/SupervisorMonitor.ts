/**
 * Keeps a sandbox supervised while its provision has not ended: starts a supervisor where none holds the lease, and kills
 * one whose heartbeat stands still. It is run by every process that follows a sandbox, waits for one, or serves the state
 * directory, so there may be many monitors of one sandbox; the lease lets one of the supervisors that they start begin.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { monotonicSeconds } from "../domain/Monotonic.js"
import type { SandboxId } from "../domain/Sandbox.js"
import { Settings } from "../settings/Settings.js"
import { Timing } from "../settings/Timing.js"
import { makeStillness } from "../store/Lease.js"
import { ProcessIdentity } from "../store/ProcessIdentity.js"
import { SandboxStore, StoreError } from "../store/SandboxStore.js"
import { Supervisors } from "./Supervisors.js"

/** Makes monitors, each of one sandbox. A monitor is run again and again; it looks when it is time to. */
export const makeMonitor = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const store = yield* SandboxStore
  const identity = yield* ProcessIdentity
  const supervisors = yield* Supervisors
  const { home } = yield* Settings
  const { checkInterval, silence, startGrace, starts: mostStarts } = (yield* Timing).supervision

  /** A supervisor that can write nothing cannot report why it fails either, so this process reports it. */
  const checkWritable = Effect.gen(function* () {
    const file = path.join(home, ".space")
    yield* Effect.ensuring(
      fs.writeFile(file, new Uint8Array(64 * 1024)),
      Effect.ignore(fs.remove(file, { force: true }))
    )
  }).pipe(
    Effect.mapError(
      ({ message }) =>
        new StoreError({
          reason: "not-writable",
          message: `the state directory ${home} cannot be written: ${message}`,
          hint: `free some space there (\`df -h '${home}'\`) or correct its permissions, then run this again: nothing is lost`
        })
    )
  )

  return (id: SandboxId): Effect.Effect<void, StoreError> => {
    const stillness = makeStillness()
    let lookedAt = Number.NEGATIVE_INFINITY
    let starts = 0
    let nextStartAt = 0
    return Effect.gen(function* () {
      const now = yield* monotonicSeconds
      if (now - lookedAt < Duration.toSeconds(checkInterval)) return
      const isFirstLook = lookedAt < 0
      lookedAt = now
      const lease = yield* store.lease(id).read
      const still = yield* stillness(lease)
      if (still === 0) starts = 0
      if (lease.holder !== null && (yield* identity.mayBeAlive(lease.holder))) {
        if (still < Duration.toSeconds(silence)) return
        yield* identity.kill(lease.holder)
      }
      // The process that created the sandbox has just started its first supervisor: wait for that one.
      if (isFirstLook && lease.term === 0) nextStartAt = now + Duration.toSeconds(startGrace)
      if (now < nextStartAt) return
      if (starts >= mostStarts) {
        return yield* new StoreError({
          reason: "other",
          message: `${mostStarts} supervisors of ${id} ended before they began`,
          hint: `run \`sandboxer supervise ${id} --log-level debug\` to see why`
        })
      }
      yield* checkWritable
      nextStartAt = now + Duration.toSeconds(startGrace) * 2 ** starts
      starts++
      yield* supervisors.start(id)
    })
  }
})

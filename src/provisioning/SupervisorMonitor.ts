/** Seeing to it that a provision that has not ended has somebody who carries it through. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { monotonicSeconds } from "../domain/Monotonic.js"
import type { SandboxId } from "../domain/Sandbox.js"
import { Settings } from "../settings/Settings.js"
import { ProcessIdentity } from "../store/ProcessIdentity.js"
import { SandboxStore, StoreError } from "../store/SandboxStore.js"
import { Supervisors } from "./Supervisors.js"

/** How often it is looked whether somebody supervises a sandbox, in seconds. */
const lookForSupervisorEvery = 1
/** A supervisor that gives no sign of life for so long is taken for dead and killed, in seconds. */
const longestSilence = 60
/** How long a supervisor may take to begin before another one is started, in seconds; each time twice as long. */
const firstPatience = 3
/** So many supervisors in a row that never began: something is wrong that another one will not mend. */
const mostStarts = 5

/** Makes watches over the supervisor of one sandbox each, on the clock of this process: to be run again and again. */
export const makeMonitor = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const store = yield* SandboxStore
  const identity = yield* ProcessIdentity
  const supervisors = yield* Supervisors
  const { home } = yield* Settings

  /** Where nothing can be written, no supervisor gets anywhere, nor can it say why. */
  const writable = Effect.gen(function* () {
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
          hint: `free some space there (\`df -h '${home}'\`) or mend its permissions, then run this again: nothing is lost`
        })
    )
  )

  return (id: SandboxId): Effect.Effect<void, StoreError> => {
    let lookedAt = Number.NEGATIVE_INFINITY
    let sign = ""
    let signAt = 0
    let starts = 0
    let startAgainAt = 0
    return Effect.gen(function* () {
      const now = yield* monotonicSeconds
      if (now - lookedAt < lookForSupervisorEvery) return
      const first = lookedAt < 0
      lookedAt = now
      const lease = yield* store.lease(id)
      const latest = `${lease?.term}/${lease?.beat}`
      if (latest !== sign) {
        sign = latest
        signAt = now
        starts = 0
      }
      if (lease?.holder && (yield* identity.mayBeAlive(lease.holder))) {
        if (now - signAt < longestSilence) return
        yield* identity.kill(lease.holder)
      }
      // Where there never was a lease, whoever created the sandbox has just started a supervisor.
      if (first && lease === undefined) startAgainAt = now + firstPatience
      if (now < startAgainAt) return
      if (starts >= mostStarts) {
        return yield* new StoreError({
          reason: "other",
          message: `${mostStarts} supervisors of ${id} ended before they began`,
          hint: `run \`sandboxer supervise ${id} --log-level debug\` to see why`
        })
      }
      yield* writable
      startAgainAt = now + firstPatience * 2 ** starts
      starts++
      yield* supervisors.start(id)
    })
  }
})

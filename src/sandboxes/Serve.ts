/**
 * Looking after a state directory for as long as one is left to: no provision without a supervisor, no sandbox past its
 * time, no note untold.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Conflict } from "../domain/Errors.js"
import { runningStates, type Sandbox, type SandboxId } from "../domain/Sandbox.js"
import { deliverForever } from "../hub/client/Delivery.js"
import type { StateHub } from "../hub/client/StateHub.js"
import { makeMonitor } from "../provisioning/SupervisorMonitor.js"
import { Supervisors } from "../provisioning/Supervisors.js"
import { Settings } from "../settings/Settings.js"
import { Timing } from "../settings/Timing.js"
import type { ProcessIdentity } from "../store/ProcessIdentity.js"
import type { SandboxStore, StoreError } from "../store/SandboxStore.js"
import type { Reaped } from "./Reap.js"
import { Sandboxes } from "./Sandboxes.js"
import * as ServeLease from "./ServeLease.js"

type Say = (line: string) => Effect.Effect<void>

/** Says what is wrong with something once, until it is right again or something else is wrong. */
const makeTroubles = (say: Say) => {
  const troubles = new Map<string, string>()
  return {
    of: (about: string, message: string) =>
      Effect.suspend(() => {
        if (troubles.get(about) === message) return Effect.void
        troubles.set(about, message)
        return say(`${about}: ${message}`)
      }),
    over: (about: string) => Effect.sync(() => void troubles.delete(about))
  }
}

/** Each time it is run, sees to it that every provision has a supervisor. */
const makeTending = (say: Say) =>
  Effect.gen(function* () {
    const sandboxes = yield* Sandboxes
    const supervisors = yield* Supervisors
    const { retryPause } = (yield* Timing).serve
    const troubles = makeTroubles(say)
    const watchOf = yield* Effect.provideService(makeMonitor, Supervisors, {
      ...supervisors,
      start: (id, options) =>
        Effect.zipRight(
          supervisors.start(id, options),
          say(`${id}: nobody carried it through: a supervisor was started`)
        )
    })
    const watches = new Map<SandboxId, Effect.Effect<void, StoreError>>()

    const leaveAlone = (id: SandboxId, since: number) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (now - since >= Duration.toMillis(retryPause)) watches.delete(id)
      })
    const watch = ({ id }: Sandbox) => {
      const known = watches.get(id) ?? watchOf(id)
      watches.set(id, known)
      return Effect.matchEffect(known, {
        onSuccess: () => Effect.void,
        onFailure: ({ hint, message }) =>
          Effect.gen(function* () {
            watches.set(id, leaveAlone(id, yield* Clock.currentTimeMillis))
            yield* troubles.of(id, `${message}; ${hint}`)
          })
      })
    }

    return Effect.gen(function* () {
      const provisions = yield* sandboxes.list({ states: runningStates })
      const living = new Set(provisions.map(({ id }) => id))
      for (const id of watches.keys()) {
        if (living.has(id)) continue
        watches.delete(id)
        yield* troubles.over(id)
      }
      yield* Effect.forEach(provisions, watch, { discard: true })
    })
  })

const ended: Readonly<Record<Reaped["action"], string>> = {
  destroy: "its time is over: destroyed",
  forget: "its time is over: forgotten, and its logs"
}

const swept = "secrets of a provision that was never recorded: removed"

/** Each time it is run, ends what is past its time, and removes what was never begun. */
const makeReaping = (say: Say) =>
  Effect.map(Sandboxes, (sandboxes) => {
    const troubles = makeTroubles(say)
    return Effect.gen(function* () {
      for (const { action, problem, sandbox } of yield* sandboxes.reap({ dryRun: false })) {
        const { id } = sandbox
        yield* problem === null
          ? Effect.zipRight(troubles.over(id), say(`${id}: ${ended[action]}`))
          : troubles.of(id, `its time is over, and it cannot be ended yet: ${problem}`)
      }
      for (const { folder, problem } of yield* sandboxes.removeOrphanedSecrets({ dryRun: false })) {
        yield* problem === null
          ? Effect.zipRight(troubles.over(folder), say(`${folder}: ${swept}`))
          : troubles.of(folder, `secrets that nobody needs cannot be removed: ${problem}`)
      }
    })
  })

/**
 * Serves the state directory until it is interrupted: starts a supervisor where a provision has none, ends what is past
 * its time, and tells the State Hub what waits to be told. What fails is said and tried again, but for a database that is damaged. A `Conflict` where another
 * one serves it.
 */
export const serve = (
  say: Say
): Effect.Effect<
  never,
  StoreError | Conflict,
  | FileSystem.FileSystem
  | ProcessIdentity
  | Path.Path
  | Sandboxes
  | SandboxStore
  | Settings
  | StateHub
  | Supervisors
> =>
  Effect.gen(function* () {
    const sandboxes = yield* Sandboxes
    const { home } = yield* Settings
    const { checkInterval, reapInterval } = (yield* Timing).serve
    // It is made or refused by the store.
    yield* sandboxes.list({ states: runningStates })
    const troubles = makeTroubles(say)
    const forever = (what: string, work: Effect.Effect<void, StoreError>, every: Duration.Duration) =>
      work.pipe(
        Effect.zipRight(troubles.over(what)),
        Effect.catchIf(
          ({ reason }) => reason !== "damaged",
          ({ message }) => troubles.of(what, message)
        ),
        Effect.repeat(Schedule.spaced(every)),
        Effect.zipRight(Effect.never)
      )
    const work = forever("supervisors", yield* makeTending(say), checkInterval).pipe(
      Effect.raceFirst(forever("reap", yield* makeReaping(say), reapInterval)),
      Effect.raceFirst(deliverForever)
    )
    return yield* ServeLease.hold(Effect.zipRight(say(`serving ${home}`), work))
  })

/** Following a provision until it has ended. Each follower restarts a supervisor that has died. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { hasEnded, type SandboxId } from "../domain/Sandbox.js"
import { makeMonitor } from "../provisioning/SupervisorMonitor.js"
import { Supervisors } from "../provisioning/Supervisors.js"
import { Timing } from "../settings/Timing.js"
import { SandboxStore } from "../store/SandboxStore.js"
import { get } from "./Find.js"

/**
 * Makes the pause between two looks at a provision: an effect that checks its supervisor, then waits for a moment.
 */
export const makePause = (id: SandboxId) =>
  Effect.gen(function* () {
    const supervisors = yield* Supervisors
    const { followPoll } = (yield* Timing).sandboxes
    const monitor = (yield* makeMonitor)(id)
    return Effect.zipRight(monitor, Effect.raceFirst(Effect.sleep(followPoll), supervisors.ended(id)))
  })

/** See `SandboxesShape.follow`. */
export const follow = (id: SandboxId, after: number) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const store = yield* SandboxStore
      const pause = yield* makePause(id)
      return Stream.paginateChunkEffect(after, (seq) =>
        Effect.gen(function* () {
          // Read before the events: once the provision has ended, all of its events are there.
          const { state } = yield* get(id)
          const events = yield* store.events(id, seq)
          if (!hasEnded(state) && events.length === 0) yield* pause
          const next = hasEnded(state) ? Option.none() : Option.some(events.at(-1)?.seq ?? seq)
          return [Chunk.fromIterable(events), next] as const
        })
      )
    })
  )

/** See `SandboxesShape.wait`. */
export const wait = (id: SandboxId) =>
  Effect.gen(function* () {
    const pause = yield* makePause(id)
    while (true) {
      const sandbox = yield* get(id)
      if (hasEnded(sandbox.state)) return sandbox
      yield* pause
    }
  })

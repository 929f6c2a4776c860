/** The end of a command that has changed something: the State Hub is told, if that is quick. */
import * as Effect from "effect/Effect"
import { deliverBriefly } from "../hub/client/Delivery.js"
import { StateHub } from "../hub/client/StateHub.js"
import type { ProcessIdentity } from "../store/ProcessIdentity.js"
import { SandboxStore } from "../store/SandboxStore.js"
import { untilSignal } from "./Progress.js"
import { say } from "./say.js"

const tell = Effect.gen(function* () {
  const { target } = yield* StateHub
  yield* deliverBriefly
  const { outbox } = yield* SandboxStore
  const { sender, waits } = yield* outbox.peek
  const { answer, paused, target: of } = sender.delivering
  if (waits && paused && of === (target ?? null)) {
    yield* say(
      `warning: the State Hub is told nothing until this is mended: ${answer}; see \`sandboxer hub status\``
    )
  }
})

/** Says what is wrong with how the hub is told: for commands that begin to tell it. */
export const warnOfHub: Effect.Effect<void, never, StateHub> = Effect.flatMap(StateHub, ({ warning }) =>
  warning === undefined ? Effect.void : say(`warning: ${warning}`)
)

/**
 * Runs a command's work, then tells the hub for 5 s at most, however the work ended; it ends as the work did. Ctrl-C and
 * SIGTERM end the telling alone.
 */
export const notifyHub = <A, E, R>(
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | ProcessIdentity | SandboxStore | StateHub> =>
  Effect.ensuring(
    work,
    Effect.flatMap(StateHub, ({ tells }) =>
      tells === false ? Effect.void : Effect.interruptible(Effect.ignore(untilSignal(tell)))
    )
  )

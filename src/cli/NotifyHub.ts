/** Notifying the State Hub at the end of a command that has changed something. */
import * as Effect from "effect/Effect"
import { deliverBriefly } from "../hub/client/Delivery.js"
import { StateHub } from "../hub/client/StateHub.js"
import type { ProcessIdentity } from "../store/ProcessIdentity.js"
import { SandboxStore } from "../store/SandboxStore.js"
import { report } from "./Printer.js"
import { untilSignal } from "./Signals.js"

const notify = Effect.gen(function* () {
  const { target } = yield* StateHub
  yield* deliverBriefly
  const { outbox } = yield* SandboxStore
  const { delivering, waits } = yield* outbox.peek
  const { answer, paused, target: of } = delivering
  if (waits && paused && of === (target ?? null)) {
    yield* report(
      `warning: no notes are sent to the State Hub until this is corrected: ${answer}; see \`sandboxer hub status\``
    )
  }
})

/** Warns of a setting that keeps the hub from being notified: for commands that start something to notify it of. */
export const warnOfHub: Effect.Effect<void, never, StateHub> = Effect.flatMap(StateHub, ({ warning }) =>
  warning === undefined ? Effect.void : report(`warning: ${warning}`)
)

/**
 * Runs a command's work, then notifies the hub for at most 5 s, whether or not the work failed; ends as the work did. A
 * signal ends only the notifying.
 */
export const notifyHub = <A, E, R>(
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | ProcessIdentity | SandboxStore | StateHub> =>
  Effect.ensuring(
    work,
    Effect.flatMap(StateHub, ({ tells }) =>
      tells === false ? Effect.void : Effect.interruptible(Effect.ignore(untilSignal(notify)))
    )
  )

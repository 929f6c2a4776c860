/** Processes that are numbers. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ProcessIdentity } from "../ProcessIdentity.js"

/**
 * This one is process `pid`; those in `dead` are gone, and one that is killed comes to be in it.
 * @category layers
 */
export const layer = (pid = 1, dead: Set<number> = new Set()): Layer.Layer<ProcessIdentity> =>
  Layer.succeed(ProcessIdentity, {
    self: { machine: "memory", bootId: "memory", pid, startTime: 0 },
    mayBeAlive: (holder) => Effect.sync(() => !dead.has(holder.pid)),
    kill: (holder) => Effect.sync(() => void dead.add(holder.pid))
  })

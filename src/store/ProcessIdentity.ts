/** Who this process is, and whether another one that held a lease is still there. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Holder } from "../domain/Holder.js"

/** @category services */
export class ProcessIdentity extends Context.Tag("sandboxer/ProcessIdentity")<
  ProcessIdentity,
  {
    readonly self: Holder
    /** False only where it is certain: of a process on another machine nobody here can say so. */
    readonly mayBeAlive: (holder: Holder) => Effect.Effect<boolean>
    /** Kills a process of this machine, if it is still the one that is meant. */
    readonly kill: (holder: Holder) => Effect.Effect<void>
  }
>() {}

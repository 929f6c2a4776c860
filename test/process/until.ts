import * as Effect from "effect/Effect"
import { processInfo } from "../../src/internal/Proc.js"
import { waitFor } from "../support/patience.js"

/** What `look` finds as soon as it finds something; a defect where it does not within its time. */
export const until = <A>(what: string, look: () => A | undefined | false): Effect.Effect<A> =>
  Effect.promise(() => waitFor(what, look))

/** Whether a process lives; a zombie has ended. */
export const lives = (pid: number): boolean => processInfo(pid)?.zombie === false

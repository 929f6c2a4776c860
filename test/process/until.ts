import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { processInfo } from "../../src/internal/Proc.js"

/** What `look` finds as soon as it finds something; a defect where it finds nothing within ten seconds. */
export const until = <A>(what: string, look: () => A | undefined | false): Effect.Effect<A> =>
  Effect.suspend(() => {
    const found = look()
    return found === undefined || found === false ? Effect.fail("not yet") : Effect.succeed(found)
  }).pipe(
    Effect.retry(Schedule.spaced(Duration.millis(10))),
    Effect.timeoutFail({
      duration: Duration.seconds(10),
      onTimeout: () => new Error(`waited in vain for: ${what}`)
    }),
    Effect.orDie
  )

/** Whether a process lives; a zombie has ended. */
export const lives = (pid: number): boolean => processInfo(pid)?.zombie === false

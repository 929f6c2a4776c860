/** What a command does once it has begun a provision. */
import * as Effect from "effect/Effect"
import type { Sandbox } from "../domain/Sandbox.js"
import { notifyHub } from "./NotifyHub.js"
import type { Format } from "./Options.js"
import { printOne, sandboxes, sandboxInFull } from "./Printer.js"
import { conclude, follow, handling, type ProgressMode } from "./Progress.js"

/**
 * Follows it, prints the record as it ended, and ends as it did; the State Hub is told. A signal is for who follows, or
 * for who tells: in between it changes nothing.
 */
export const followToCompletion = (
  sandbox: Sandbox,
  options: { readonly output: Format; readonly progress: ProgressMode; readonly after?: number }
) =>
  handling(
    notifyHub(
      Effect.gen(function* () {
        const { output, progress, ...from } = options
        const ended = yield* follow(sandbox, { mode: progress, cancels: true, ...from })
        yield* printOne(output, output === "table" ? sandboxInFull : sandboxes, ended)
        yield* conclude(ended)
      })
    ),
    ["SIGINT", "SIGTERM"],
    () => {}
  )

import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { serve as run } from "../sandboxes/Serve.js"
import { warnOfHub } from "./NotifyHub.js"
import { report } from "./Printer.js"
import { untilSignal } from "./Signals.js"

export const serve = Command.make("serve", {}, () =>
  Effect.gen(function* () {
    yield* warnOfHub
    yield* untilSignal(run(report))
    yield* report("no longer served; what is being provisioned goes on")
  })
).pipe(
  Command.withDescription(
    "Look after the state directory: supervisors that died are replaced, what is past its time ends"
  )
)

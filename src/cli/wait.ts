import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { Conflict } from "../domain/Errors.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { end, ofSandbox } from "./ExitCode.js"
import { notifyHub } from "./NotifyHub.js"
import * as options from "./Options.js"
import { printOne } from "./Printer.js"
import { find, reference } from "./SandboxArgument.js"
import { sandboxes } from "./SandboxKinds.js"

export const wait = Command.make(
  "wait",
  {
    id: reference,
    for: options
      .choice("for", ["done", "ready"], "done: its provision has ended; ready: it can be used")
      .pipe(Options.withDefault("done" as const)),
    output: options.optional(options.output)
  },
  ({ for: wanted, id, output }) =>
    Effect.gen(function* () {
      const manager = yield* Sandboxes
      const { id: found } = yield* find(id)
      const ended = yield* manager.wait(found)
      if (output !== undefined && output !== "table") yield* printOne(output, sandboxes, ended)
      yield* end(ofSandbox(ended))
      if (wanted === "ready" && ended.state !== "ready") {
        return yield* new Conflict({
          reason: "not-ready",
          message: `${ended.name} was ready, and is ${ended.state}`,
          hint: "create it again"
        })
      }
    }).pipe(notifyHub)
).pipe(Command.withDescription("Wait until a provision has ended, and end as it did"))

import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { Sandboxes } from "../Sandboxes.js"
import * as options from "./options.js"
import { printOne, sandboxes } from "./output.js"
import { conclude } from "./progress.js"
import { find, reference } from "./reference.js"

export const wait = Command.make(
  "wait",
  { id: reference, output: options.optional(options.output) },
  ({ id, output }) =>
    Effect.gen(function* () {
      const manager = yield* Sandboxes
      const { id: found } = yield* find(id)
      const ended = yield* manager.wait(found)
      if (output !== undefined && output !== "table") yield* printOne(output, sandboxes, ended)
      yield* conclude(ended)
    })
).pipe(Command.withDescription("Wait until a provision has ended, and end as it did"))

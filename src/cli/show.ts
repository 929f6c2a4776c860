import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as options from "./options.js"
import { printOne, sandboxInFull } from "./output.js"
import { find, reference } from "./reference.js"

export const show = Command.make("show", { id: reference, output: options.output }, ({ id, output }) =>
  Effect.flatMap(find(id), (sandbox) => printOne(output, sandboxInFull, sandbox))
).pipe(Command.withDescription("Show a sandbox"))

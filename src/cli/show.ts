import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { hasEnded } from "../domain/Sandbox.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import * as options from "./Options.js"
import { printOne } from "./Printer.js"
import { find, reference } from "./SandboxArgument.js"
import { sandboxInFull } from "./SandboxKinds.js"

export const show = Command.make("show", { id: reference, output: options.output }, ({ id, output }) =>
  Effect.gen(function* () {
    const sandbox = yield* find(id)
    const queued =
      sandbox.phase?.name === "queue" && !hasEnded(sandbox.state)
        ? (yield* Effect.flatMap(Sandboxes, ({ events }) => events(sandbox.id, 0))).findLast(
            ({ type }) => type === "queued"
          )
        : undefined
    const columns = [...sandboxInFull.columns, ["waits", () => queued?.message ?? "-"] as const]
    yield* printOne(output, { ...sandboxInFull, columns }, sandbox)
  })
).pipe(Command.withDescription("Show a sandbox"))

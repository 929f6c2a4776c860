import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { supervise as run } from "../provisioning/Supervision.js"
import { find, reference } from "./SandboxArgument.js"

/** `create` starts this for each sandbox. Run by hand, it shows why a supervisor does not start. */
export const supervise = Command.make("supervise", { id: reference }, ({ id }) =>
  Effect.flatMap(find(id), (sandbox) => run(sandbox.id))
).pipe(Command.withDescription("Carry a provision through to its end; started by create, watch and wait"))

import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Attached from "../sandboxes/Attached.js"
import { type Ending, end, ofError } from "./ExitCode.js"
import { find, reference } from "./SandboxArgument.js"

/** As ssh(1) ends where the connection failed, and not the command. */
const connectionFailed = 255

export const exec = Command.make(
  "exec",
  {
    id: reference,
    command: Args.text({ name: "CMD" }).pipe(
      Args.withDescription("A program and its arguments, behind --"),
      Args.atLeast(1)
    )
  },
  ({ command: [program, ...args], id }) =>
    Effect.gen(function* () {
      const sandbox = yield* find(id)
      const ending = yield* Attached.run(sandbox, { program, args }, { terminal: false }).pipe(
        Effect.map((exitCode): Ending => ({ exitCode, message: [] })),
        Effect.catchTag("HostError", (error) =>
          Effect.succeed({ ...ofError(error), exitCode: connectionFailed })
        )
      )
      yield* end(ending)
    })
).pipe(
  Command.withDescription(
    "Run a command on an attached machine, in the workspace, and end as it does; 255 where the connection failed"
  )
)

import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Attached from "../sandboxes/Attached.js"
import { Ended, ofError } from "./ExitCode.js"
import { find, reference } from "./SandboxArgument.js"
import { sayAll } from "./say.js"

/** What ssh(1) ends with where it is to blame, and not the command. */
const transport = 255

/** Ends as the command did. */
export const endAs = (exitCode: number) => (exitCode === 0 ? Effect.void : new Ended({ exitCode }))

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
      yield* Attached.run(sandbox, { program, args }, { terminal: false }).pipe(
        Effect.catchTag("HostError", (error) =>
          Effect.zipRight(sayAll(ofError(error).message), Effect.succeed(transport))
        ),
        Effect.flatMap(endAs)
      )
    })
).pipe(
  Command.withDescription(
    "Run a command on an attached machine, in the workspace, and end as it does; 255 where the connection failed"
  )
)

import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Attached from "../sandboxes/Attached.js"
import { end } from "./ExitCode.js"
import { find, reference } from "./SandboxArgument.js"

const loginShell = { program: "sh", args: ["-c", `exec "\${SHELL:-/bin/sh}" -l`] }

export const ssh = Command.make("ssh", { id: reference }, ({ id }) =>
  Effect.gen(function* () {
    const sandbox = yield* find(id)
    const exitCode = yield* Attached.run(sandbox, loginShell, { terminal: process.stdin.isTTY })
    yield* end({ exitCode, message: [] })
  })
).pipe(Command.withDescription("Open a shell on an attached machine, in the workspace"))

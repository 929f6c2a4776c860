import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Attached from "../sandboxes/Attached.js"
import { endAs } from "./exec.js"
import { find, reference } from "./SandboxArgument.js"

const loginShell = { program: "sh", args: ["-c", `exec "\${SHELL:-/bin/sh}" -l`] }

export const ssh = Command.make("ssh", { id: reference }, ({ id }) =>
  Effect.gen(function* () {
    const sandbox = yield* find(id)
    yield* Effect.flatMap(Attached.run(sandbox, loginShell, { terminal: process.stdin.isTTY }), endAs)
  })
).pipe(Command.withDescription("Open a shell on an attached machine, in the workspace"))

import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import type { SyncChange } from "../hosts/Host.js"
import * as Attached from "../sandboxes/Attached.js"
import * as options from "./Options.js"
import { type Kind, printList } from "./Printer.js"
import { find, reference } from "./SandboxArgument.js"

const changes: Kind<SyncChange> = {
  kind: "Change",
  document: ({ kind, path }) => ({ change: kind, path }),
  name: ({ path }) => path,
  columns: [
    ["change", ({ kind }) => kind],
    ["path", ({ path }) => path]
  ]
}

export const sync = Command.make(
  "sync",
  {
    id: reference,
    dryRun: options.flag("dry-run", "Say what would be done and why, and do nothing"),
    output: options.output
  },
  ({ dryRun, id, output }) =>
    Effect.gen(function* () {
      const sandbox = yield* find(id)
      yield* printList(output, changes, yield* Attached.sync(sandbox, { dryRun }))
    })
).pipe(
  Command.withDescription("Make the workspace the same as the project once more, and print what changed")
)

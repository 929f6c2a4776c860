import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import type { Reaped } from "../sandboxes/Reap.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { Ended } from "./ExitCode.js"
import { notifyHub } from "./NotifyHub.js"
import * as options from "./Options.js"
import { type Kind, printList, report } from "./Printer.js"
import { sandboxes } from "./SandboxKinds.js"

const kind: Kind<Reaped> = {
  kind: "ReapedSandbox",
  document: ({ action, problem, sandbox }) => ({ ...sandboxes.document(sandbox), action, problem }),
  name: ({ sandbox }) => sandbox.id,
  columns: [
    ["action", ({ action }) => action],
    ["name", ({ sandbox }) => sandbox.name],
    ["id", ({ sandbox }) => sandbox.id],
    ["was", ({ sandbox }) => sandbox.state],
    ["problem", ({ problem }) => problem ?? "-"]
  ]
}

export const reap = Command.make(
  "reap",
  {
    dryRun: options.flag("dry-run", "Say what would be ended, and end nothing"),
    output: options.output
  },
  ({ dryRun, output }) =>
    Effect.gen(function* () {
      const manager = yield* Sandboxes
      const reaped = yield* manager.reap({ dryRun })
      const orphaned = yield* manager.removeOrphanedSecrets({ dryRun })
      yield* printList(output, kind, reaped)
      // They belong to no sandbox, so they are not in the list.
      yield* report(
        ...orphaned.flatMap(({ folder, problem }) =>
          problem === null
            ? [
                `${dryRun ? "would remove" : "removed"} secrets of a provision that was never recorded: ${folder}`
              ]
            : []
        )
      )
      const problems = [
        ...reaped.map(({ problem, sandbox }) => ({ of: sandbox.name, problem })),
        ...orphaned.map(({ folder, problem }) => ({ of: folder, problem }))
      ].flatMap(({ of, problem }) => (problem === null ? [] : [`error: ${of}: ${problem}`]))
      if (problems.length === 0) return
      yield* report(...problems, "hint: the next `sandboxer reap` tries again")
      return yield* new Ended({ exitCode: 1 })
    }).pipe(notifyHub)
).pipe(
  Command.withDescription(
    "End what is past its time: what is ready is destroyed, records and logs of the dead go; artifacts stay"
  )
)

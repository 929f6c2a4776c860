import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { notifyHub } from "./NotifyHub.js"
import * as options from "./Options.js"
import { printList, report } from "./Printer.js"
import { find } from "./SandboxArgument.js"
import { sandboxes } from "./SandboxKinds.js"

const make = (name: string, description: string) =>
  Command.make(
    name,
    {
      ids: Args.text({ name: "ID" }).pipe(
        Args.withDescription("Sandboxes: ids, beginnings of ids, or names"),
        Args.atLeast(1)
      ),
      force: options.flag("force", "Cancel a provision that runs; forget a machine that is gone"),
      deleteArtifacts: options.flag("delete-artifacts", "Delete what it made, too"),
      deleteWorkspace: options.flag("delete-workspace", "Delete its project's workspace on the machine, too"),
      output: options.output
    },
    ({ deleteArtifacts, deleteWorkspace, force, ids, output }) =>
      Effect.gen(function* () {
        const manager = yield* Sandboxes
        // Find all of them before destroying the first: a wrong id changes nothing.
        const found = yield* Effect.forEach(ids, find)
        const destroyed = yield* Effect.forEach(found, ({ id }) =>
          manager.destroy(id, { force, deleteArtifacts, deleteWorkspace })
        )
        for (const { id, name } of destroyed) {
          const last = (yield* manager.events(id, 0)).find((event) => event.type === "destroyed")
          if (last?.data.left !== undefined) yield* report(`warning: ${name}: ${last.data.left}`)
        }
        yield* printList(output, sandboxes, destroyed)
      }).pipe(notifyHub)
  ).pipe(Command.withDescription(description))

export const destroy = make("destroy", "End sandboxes; their artifacts stay")
export const rm = make("rm", "Short for destroy")

import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { Sandboxes } from "../Sandboxes.js"
import * as options from "./options.js"
import { printList, sandboxes } from "./output.js"
import { find } from "./reference.js"

const make = (name: string, description: string) =>
  Command.make(
    name,
    {
      ids: Args.text({ name: "ID" }).pipe(
        Args.withDescription("Sandboxes: ids, beginnings of ids, or names"),
        Args.atLeast(1)
      ),
      force: options.flag("force", "Cancel a provision that runs"),
      deleteArtifacts: options.flag("delete-artifacts", "Delete what it made, too"),
      output: options.output
    },
    ({ deleteArtifacts, force, ids, output }) =>
      Effect.gen(function* () {
        const manager = yield* Sandboxes
        // All of them are there before the first one goes.
        const found = yield* Effect.forEach(ids, find)
        const destroyed = yield* Effect.forEach(found, ({ id }) =>
          manager.destroy(id, { force, deleteArtifacts })
        )
        yield* printList(output, sandboxes, destroyed)
      })
  ).pipe(Command.withDescription(description))

export const destroy = make("destroy", "End sandboxes; their artifacts stay")
export const rm = make("rm", "Short for destroy")

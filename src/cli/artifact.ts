import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { NotFound } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import { Sandboxes } from "../Sandboxes.js"
import * as options from "./options.js"
import { artifacts as kind, type MadeArtifact, printList, printOne } from "./output.js"

const reference = Args.text({ name: "ID" }).pipe(
  Args.withDescription(
    "An artifact's id, the beginning of one, its name, or its sandbox's id or name (then the primary one)"
  )
)

const all = Effect.gen(function* () {
  const manager = yield* Sandboxes
  const sandboxes = yield* manager.list
  return sandboxes.flatMap(
    (sandbox): ReadonlyArray<MadeArtifact> => sandbox.artifacts.map((artifact) => ({ artifact, sandbox }))
  )
})

/** The newest that fits. */
const find = (text: string) =>
  Effect.gen(function* () {
    const made = (yield* all).toReversed()
    const found =
      made.find(({ artifact }) => artifact.id === text || artifact.name === text) ??
      made.find(
        ({ artifact, sandbox }) => artifact.primary && (sandbox.id === text || sandbox.name === text)
      ) ??
      made.find(
        ({ artifact, sandbox }) =>
          artifact.id.startsWith(text) || (artifact.primary && sandbox.id.startsWith(text))
      )
    if (found !== undefined) return found
    return yield* new NotFound({
      reason: "artifact",
      message: `no artifact ${text}`,
      hint: didYouMean(
        text,
        new Set(made.flatMap(({ artifact, sandbox }) => [artifact.name, sandbox.name])),
        "`sandboxer artifact list` shows those that there are"
      )
    })
  })

const list = Command.make("list", { output: options.output }, ({ output }) =>
  Effect.flatMap(all, (made) => printList(output, kind, made))
).pipe(Command.withDescription("List what sandboxes made"))

const show = Command.make("show", { id: reference, output: options.output }, ({ id, output }) =>
  Effect.flatMap(find(id), (made) =>
    printOne(
      output,
      { ...kind, columns: [...kind.columns, ["sha256", ({ artifact }) => artifact.sha256]] },
      made
    )
  )
).pipe(Command.withDescription("Show an artifact"))

const path = Command.make("path", { id: reference }, ({ id }) =>
  Effect.flatMap(find(id), ({ artifact }) => Console.log(artifact.path))
).pipe(Command.withDescription("Print where an artifact is"))

export const artifact = Command.make("artifact").pipe(
  Command.withDescription("What sandboxes made, and we keep"),
  Command.withSubcommands([list, show, path])
)

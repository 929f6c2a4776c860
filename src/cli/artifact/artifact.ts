import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { verify as look, type Verification } from "../../artifacts/Verification.js"
import { NotFound } from "../../domain/Errors.js"
import { didYouMean } from "../../domain/Nearest.js"
import { Sandboxes } from "../../sandboxes/Sandboxes.js"
import { Ended } from "../ExitCode.js"
import * as options from "../Options.js"
import { type Kind, artifacts as kind, type MadeArtifact, printList, printOne } from "../Printer.js"
import { sayAll } from "../say.js"

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

interface VerifiedArtifact extends MadeArtifact {
  readonly verification: Verification
}

const verified: Kind<VerifiedArtifact> = {
  kind: "VerifiedArtifact",
  document: ({ verification, ...made }) => ({ ...kind.document(made), ...verification }),
  name: kind.name,
  columns: [
    ["status", ({ verification }) => verification.status],
    ["name", ({ artifact }) => artifact.name],
    ["id", ({ artifact }) => artifact.id],
    ["sandbox", ({ sandbox }) => sandbox.name],
    ["checked", ({ verification }) => verification.checked.join(", ") || "-"],
    ["detail", ({ artifact, verification }) => verification.problem ?? artifact.path]
  ]
}

const verify = Command.make(
  "verify",
  { ids: Args.repeated(reference), output: options.output },
  ({ ids, output }) =>
    Effect.gen(function* () {
      const made = yield* ids.length === 0 ? all : Effect.forEach(ids, find)
      const looked = yield* Effect.forEach(made, (one) =>
        Effect.map(look(one.artifact), (verification): VerifiedArtifact => ({ ...one, verification }))
      )
      yield* printList(output, verified, looked)
      const bad = looked.filter(({ verification }) => verification.status !== "ok")
      if (bad.length === 0) return
      yield* sayAll([
        ...bad.map(
          ({ artifact, verification }) =>
            `error: ${artifact.path} is ${verification.status}: ${verification.problem}`
        ),
        "hint: do not use it: create it again, or bring it back from a copy"
      ])
      return yield* new Ended({ exitCode: 10 })
    })
).pipe(
  Command.withDescription(
    "Check that artifacts are what was made, and whole; all of them where none is named"
  )
)

export const artifact = Command.make("artifact").pipe(
  Command.withDescription("What sandboxes made, and we keep"),
  Command.withSubcommands([list, show, path, verify])
)

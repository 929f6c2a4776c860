import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { type Verification, verify as verifyArtifact } from "../../artifacts/Verification.js"
import { Ended } from "../ExitCode.js"
import * as options from "../Options.js"
import { type Kind, printList, report } from "../Printer.js"
import { all, artifacts, find, type MadeArtifact, reference } from "./MadeArtifact.js"

interface VerifiedArtifact extends MadeArtifact {
  readonly verification: Verification
}

const verified: Kind<VerifiedArtifact> = {
  kind: "VerifiedArtifact",
  document: ({ verification, ...made }) => ({ ...artifacts.document(made), ...verification }),
  name: artifacts.name,
  columns: [
    ["status", ({ verification }) => verification.status],
    ["name", ({ artifact }) => artifact.name],
    ["id", ({ artifact }) => artifact.id],
    ["sandbox", ({ sandbox }) => sandbox.name],
    ["checked", ({ verification }) => verification.checked.join(", ") || "-"],
    ["detail", ({ artifact, verification }) => verification.problem ?? artifact.path]
  ]
}

export const verify = Command.make(
  "verify",
  { ids: Args.repeated(reference), output: options.output },
  ({ ids, output }) =>
    Effect.gen(function* () {
      const made = yield* ids.length === 0 ? all : Effect.forEach(ids, find)
      const looked = yield* Effect.forEach(made, (one) =>
        Effect.map(
          verifyArtifact(one.artifact),
          (verification): VerifiedArtifact => ({ ...one, verification })
        )
      )
      yield* printList(output, verified, looked)
      const bad = looked.filter(({ verification }) => verification.status !== "ok")
      if (bad.length === 0) return
      yield* report(
        ...bad.map(
          ({ artifact, verification }) =>
            `error: ${artifact.path} is ${verification.status}: ${verification.problem}`
        ),
        "hint: do not use it: create it again, or restore it from a copy"
      )
      return yield* new Ended({ exitCode: 10 })
    })
).pipe(
  Command.withDescription(
    "Check that artifacts are what was made, and whole; all of them where none is named"
  )
)

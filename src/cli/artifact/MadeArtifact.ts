/** The artifacts that sandboxes have made: how one is named, found and printed. */
import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Artifact } from "../../domain/Artifact.js"
import { NotFound } from "../../domain/Errors.js"
import { didYouMean } from "../../domain/Nearest.js"
import type { Sandbox } from "../../domain/Sandbox.js"
import { Sandboxes } from "../../sandboxes/Sandboxes.js"
import type { Kind } from "../Printer.js"

/** An artifact and the sandbox that made it. */
export interface MadeArtifact {
  readonly artifact: Artifact
  readonly sandbox: Sandbox
}

export const artifacts: Kind<MadeArtifact> = {
  kind: "Artifact",
  document: ({ artifact, sandbox }) => ({
    ...Schema.encodeSync(Artifact)(artifact),
    sandboxId: sandbox.id,
    sandboxName: sandbox.name
  }),
  name: ({ artifact }) => artifact.id,
  columns: [
    ["name", ({ artifact }) => artifact.name],
    ["id", ({ artifact }) => artifact.id],
    ["sandbox", ({ sandbox }) => sandbox.name],
    ["format", ({ artifact }) => artifact.format],
    ["bytes", ({ artifact }) => String(artifact.sizeBytes)],
    ["primary", ({ artifact }) => (artifact.primary ? "yes" : "no")],
    ["path", ({ artifact }) => artifact.path]
  ]
}

export const reference = Args.text({ name: "ID" }).pipe(
  Args.withDescription(
    "An artifact's id, the beginning of one, its name, or its sandbox's id or name (then the primary one)"
  )
)

/** All artifacts, those of the oldest sandbox first. */
export const all = Effect.gen(function* () {
  const manager = yield* Sandboxes
  const sandboxes = yield* manager.list({ withArtifacts: true })
  return sandboxes.flatMap(
    (sandbox): ReadonlyArray<MadeArtifact> => sandbox.artifacts.map((artifact) => ({ artifact, sandbox }))
  )
})

/** The newest artifact that a reference fits. */
export const find = (text: string) =>
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

/** `ext.archive`: packs a folder with tar, and keeps the archive. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  Artifact,
  Artifacts,
  Errors,
  Extension,
  Failure,
  Host,
  HostPath,
  type Input,
  type Recipe,
  Reporter,
  runJob,
  Steps
} from "sandboxer"

/** What a user may give; a profile may narrow it. */
const inputs: Input.InputDeclarations = {
  folder: { type: "path", required: true, exists: true, description: "The folder that is packed" },
  name: {
    type: "string",
    default: "archive",
    pattern: "[A-Za-z0-9][A-Za-z0-9._-]*",
    description: "Name of the archive"
  }
}

/** What is to be done: kept with the sandbox, so that the recipe can be run from it again. */
const Plan = Schema.Struct({ folder: Schema.String, name: Schema.String })
type Plan = typeof Plan.Type

/** Finds out what is wrong with what the user gave, before anything is recorded; writes nothing. */
const plan = Effect.fn(function* ({ inputs }: Extension.PlanRequest) {
  const fs = yield* FileSystem.FileSystem
  const folder = String(inputs.folder)
  const isFolder = yield* fs.stat(folder).pipe(
    Effect.map(({ type }) => type === "Directory"),
    Effect.orElseSucceed(() => false)
  )
  if (isFolder) return { folder, name: String(inputs.name) }
  return yield* new Errors.UsageError({
    reason: "input",
    message: `input folder: there is no folder ${folder}`,
    hint: "name one that can be read"
  })
})

/** The recipe: run from the top by whoever takes the provision over, so each part is safe to run again. */
const provision = (
  plan: Plan
): Effect.Effect<Extension.Provisioned, Recipe.RecipeError, Recipe.RecipeServices> =>
  Effect.gen(function* () {
    const host = yield* Host.Host
    const reporter = yield* Reporter.Reporter
    const steps = yield* Steps.Steps
    const kept = yield* Artifacts.Artifacts

    yield* reporter.phase("package")
    const file = yield* steps.job(
      "tar",
      { schema: HostPath.HostPathFromString, stop: "group" },
      Effect.fn(function* (job) {
        const archive = HostPath.join(job.folder, "archive.tar.gz")
        const exitCode = yield* runJob(job, {
          program: "tar",
          args: ["-czvf", archive, "-C", yield* host.stage(plan.folder), "."],
          stop: "group"
        })
        if (exitCode === 0) return archive
        return yield* new Failure.ProvisionError({
          reason: "build-failed",
          message: `tar ended with exit code ${exitCode}`,
          hint: "see the last lines of the log",
          logTail: yield* reporter.tail
        })
      })
    )

    const artifacts = yield* steps.step(
      "publish",
      Schema.Array(Artifact.Artifact),
      kept.publish([{ source: file, name: `${plan.name}.tar.gz`, format: "tar.gz", primary: true }], {
        folder: kept.defaultFolder(plan.name),
        replace: false
      })
    )
    return { artifacts, endpoint: null }
  })

export const archive: Extension.Extension = {
  id: "ext.archive",
  description: "Packs a folder",
  modes: {
    pack: Extension.mode({
      description: "Packs a folder with tar and keeps the archive",
      inputs,
      schema: Plan,
      plan,
      describe: ({ folder, name }) => [`pack ${folder} with tar`, `keep it as ${name}.tar.gz`],
      defaultName: ({ name }) => name,
      provision
    })
  }
}

import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Artifacts } from "../../../../artifacts/Artifacts.js"
import { ProvisionError } from "../../../../domain/Failure.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { BuildPlan } from "../BuildPlan.js"
import { imageNameIn } from "../images/names.js"

/**
 * Fails if the user's output directory has an image of one of these names already, before Packer takes its time.
 *
 * Journaled: once this provision has published its images, they are there. Makes nothing.
 */
export const refuseExisting = Effect.fn(function* (plan: BuildPlan, names: ReadonlyArray<string>) {
  const { force, outputDirectory } = plan
  if (outputDirectory === null || force) return
  const artifacts = yield* Artifacts
  const steps = yield* Steps
  const isTaken = Effect.gen(function* () {
    const files = yield* artifacts.names(outputDirectory)
    const taken = files.find((file) => names.includes(imageNameIn(file)))
    if (taken === undefined) return null
    return yield* new ProvisionError({
      reason: "output-exists",
      message: `${outputDirectory}/${taken} exists already`,
      hint: "choose another output_directory, or replace the image: -i force=true"
    })
  })
  yield* steps.step(`free/${names.join("/")}`, Schema.Null, isTaken)
})

import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Artifacts } from "../../../../artifacts/Artifacts.js"
import { Artifact } from "../../../../domain/Artifact.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { BuildPlan } from "../BuildPlan.js"
import type { CollectedImage } from "./collect.js"

/**
 * Publishes the images in the folder where they outlive the sandbox, and records them.
 *
 * Journaled, although publishing again gives the same artifacts: it would read every image again. If the
 * provision does not end `ready`, its images are removed at the end.
 */
export const record = Effect.fn(function* (plan: BuildPlan, images: ReadonlyArray<CollectedImage>) {
  const artifacts = yield* Artifacts
  const steps = yield* Steps
  return yield* steps.step(
    "record",
    Schema.Array(Artifact),
    artifacts.publish(
      images.map(({ file, ...image }) => ({ ...image, source: file })),
      plan.outputDirectory === null
        ? { folder: artifacts.defaultFolder(plan.vmName), replace: false }
        : { folder: plan.outputDirectory, replace: plan.force }
    )
  )
})

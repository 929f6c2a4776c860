import * as Effect from "effect/Effect"
import type { Provisioned } from "../../../recipe/Extension.js"
import type { RecipeError, RecipeServices } from "../../../recipe/Recipe.js"
import { type BuildPlan, selectedBuilds } from "./BuildPlan.js"
import { imageNames } from "./images/names.js"
import { collect } from "./steps/collect.js"
import { init } from "./steps/init.js"
import { inspect } from "./steps/inspect.js"
import { preflight } from "./steps/preflight.js"
import { prepare } from "./steps/prepare.js"
import { record } from "./steps/record.js"
import { refuseExisting } from "./steps/refuseExisting.js"
import { runPacker } from "./steps/runPacker.js"
import { stage } from "./steps/stage.js"
import { validate } from "./steps/validate.js"

/** Build mode: runs Packer from a template, and keeps the image. */
export const build = (plan: BuildPlan): Effect.Effect<Provisioned, RecipeError, RecipeServices> =>
  Effect.gen(function* () {
    const packer = yield* preflight(plan)
    const template = yield* stage(plan)
    yield* init(plan, packer, template)
    const inspection = yield* inspect(plan, template)
    const prepared = yield* prepare(plan)
    const request = yield* validate(plan, template, inspection, prepared)
    yield* refuseExisting(plan, imageNames(plan, selectedBuilds(plan, request.builds)))
    const made = yield* runPacker(plan, request)
    const images = yield* collect(plan, template, made)
    const artifacts = yield* record(plan, images)
    return { artifacts, endpoint: null }
  })

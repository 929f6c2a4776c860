import * as Effect from "effect/Effect"
import type { Provisioned } from "../../../recipe/Extension.js"
import type { RecipeError, RecipeServices } from "../../../recipe/Recipe.js"
import type { BuildPlan } from "./BuildPlan.js"
import { collect, record, refuseExisting, stems } from "./steps/collect.js"
import { preflight } from "./steps/preflight.js"
import { prepare } from "./steps/prepare.js"
import { init, inspect, place, runPacker, selected, validate } from "./steps/runPacker.js"

/** Build mode: runs Packer from a template, and keeps the image. */
export const build = (plan: BuildPlan): Effect.Effect<Provisioned, RecipeError, RecipeServices> =>
  Effect.gen(function* () {
    const packer = yield* preflight(plan)
    const template = yield* place(plan)
    yield* init(plan, packer, template)
    const inspection = yield* inspect(plan, template)
    const prepared = yield* prepare(plan)
    const request = yield* validate(plan, template, inspection, prepared)
    yield* refuseExisting(plan, stems(plan, selected(plan, request.builds)))
    const made = yield* runPacker(plan, request)
    const images = yield* collect(plan, template, made)
    const artifacts = yield* record(plan, images)
    return { artifacts, endpoint: null }
  })

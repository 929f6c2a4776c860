import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Packer, type Template, type Version } from "../../../../packer/Packer.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { BuildPlan } from "../BuildPlan.js"

/**
 * Installs the plugins that the template asks for (`packer init`).
 *
 * Journaled: a build that is taken over has its plugins, and needs no network for them. They stay on the host, for
 * every template that uses them.
 */
export const init = Effect.fn(function* (plan: BuildPlan, version: Version, template: Template) {
  const packer = yield* Packer
  const steps = yield* Steps
  if (!plan.asksForPlugins) return
  yield* steps.step("init", Schema.Null, Effect.as(packer.init(version, template), null))
})

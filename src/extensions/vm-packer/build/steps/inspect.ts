import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ProvisionError } from "../../../../domain/Failure.js"
import { didYouMean } from "../../../../domain/Nearest.js"
import { Packer, type Template } from "../../../../packer/Packer.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { BuildPlan } from "../BuildPlan.js"

const Inspected = Schema.Struct({
  variables: Schema.Array(Schema.Struct({ name: Schema.String, hasDefault: Schema.Boolean })),
  builds: Schema.Array(Schema.Struct({ name: Schema.String, type: Schema.String }))
})

/**
 * Reads which variables and builds the template declares (`packer inspect`). Fails for a value whose variable the
 * template does not declare, before `prepare` takes its time.
 *
 * Journaled: a supervisor that takes over does not ask Packer again. Makes nothing.
 */
export const inspect = Effect.fn(function* (plan: BuildPlan, template: Template) {
  const packer = yield* Packer
  const steps = yield* Steps
  const inspection = yield* steps.step("inspect", Inspected, packer.inspect(template))
  const declared = inspection.variables.map(({ name }) => name)
  const given = [
    ...Object.keys(plan.variables),
    ...plan.secretVariables,
    ...(plan.prepare === null ? [] : [plan.prepare.variable])
  ]
  const unknown = given.find((name) => !declared.includes(name))
  if (unknown !== undefined) {
    return yield* new ProvisionError({
      reason: "input-invalid",
      message: `the template ${plan.template} declares no variable ${unknown}`,
      hint: didYouMean(unknown, declared, `its variables are ${declared.join(", ") || "none"}`)
    })
  }
  return inspection
})

import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Revision } from "../../../../domain/Receipt.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { AttachPlan } from "../AttachPlan.js"
import * as Project from "../Project.js"

/**
 * Reads the project's revision for the receipt, right before the project is sent.
 *
 * Journaled: the project may have changed when another supervisor takes over, and the receipt describes what was sent.
 * Makes nothing.
 */
export const revision = Effect.fn(function* (plan: AttachPlan) {
  const steps = yield* Steps
  const { command, project } = plan
  if (command === null || project === null) return null
  return yield* steps.step("revision", Schema.NullOr(Revision), Project.revision(project))
})

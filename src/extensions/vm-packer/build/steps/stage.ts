import * as Effect from "effect/Effect"
import { HostPathFromString, join } from "../../../../domain/HostPath.js"
import { Host } from "../../../../hosts/Host.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { BuildPlan } from "../BuildPlan.js"

/**
 * Makes the template's folder available on the host.
 *
 * Journaled: on a host over SSH, staging makes the copy equal to the local folder again, and so would delete what a
 * running build has written there. The copy stays, so that the next build sends only what has changed.
 */
export const stage = Effect.fn(function* (plan: BuildPlan) {
  const host = yield* Host
  const steps = yield* Steps
  const folder = yield* steps.step("place", HostPathFromString, host.stage(plan.folder, steps.fence))
  const name = plan.template === plan.folder ? undefined : plan.template.slice(plan.folder.length + 1)
  return { folder, path: name === undefined ? folder : join(folder, name) }
})

/** The provision that a recipe runs for. */
import * as Context from "effect/Context"
import type * as Redacted from "effect/Redacted"
import type { Plan } from "../domain/Plan.js"
import type { SandboxId } from "../domain/Sandbox.js"

/** What a recipe can know about its provision. `attempt` counts from 1. */
export interface ProvisionShape {
  readonly id: SandboxId
  readonly attempt: number
  /** The term of the supervisor's lease; it grows with each take-over. */
  readonly term: number
  readonly plan: Plan
  /** Values of the secret inputs, by name. */
  readonly secrets: Readonly<Record<string, Redacted.Redacted>>
}

/** @category services */
export class Provision extends Context.Tag("sandboxer/Provision")<Provision, ProvisionShape>() {}

/** The services that a recipe may use, and its errors. */
import * as Context from "effect/Context"
import type * as Layer from "effect/Layer"
import type { Artifacts } from "../artifacts/Artifacts.js"
import type { ProvisionError } from "../domain/Failure.js"
import type { Placement } from "../domain/Placement.js"
import type { Host, HostError, Hosts } from "../hosts/Host.js"
import type { Packer } from "../packer/Packer.js"
import type { StoreError } from "../store/SandboxStore.js"
import type { Provision, ProvisionShape } from "./Provision.js"
import type { Reporter } from "./Reporter.js"
import type { Steps } from "./Steps.js"

/** The errors of a recipe. */
export type RecipeError = ProvisionError | HostError | StoreError

/** The services of a recipe: ports alone, so that layers decide on the implementation. */
export type RecipeServices = Artifacts | Host | Hosts | Packer | Provision | Reporter | Steps

/**
 * Provides a recipe's services: the Host of the placement, Packer on it, and those that write under the lease.
 * @category services
 */
export class RecipeLayers extends Context.Tag("sandboxer/RecipeLayers")<
  RecipeLayers,
  {
    readonly of: (
      provision: ProvisionShape,
      placement: Placement
    ) => Layer.Layer<RecipeServices, HostError | StoreError>
  }
>() {}

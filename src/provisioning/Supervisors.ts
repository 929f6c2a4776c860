/** Starts supervisors. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SandboxId } from "../domain/Sandbox.js"
import type { StoreError } from "../store/SandboxStore.js"

/** @category services */
export class Supervisors extends Context.Tag("sandboxer/Supervisors")<
  Supervisors,
  {
    /**
     * Starts a supervisor; it ends at once if another one works. With `here` it is a fiber of this program and ends with
     * it: for jobless plans.
     */
    readonly start: (id: SandboxId, options?: { readonly here?: boolean }) => Effect.Effect<void, StoreError>
    /** Waits for the end of a supervisor of this program; for ever if there is none. */
    readonly ended: (id: SandboxId) => Effect.Effect<void>
  }
>() {}

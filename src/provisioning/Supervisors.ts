/** Seeing to it that a sandbox's provision is carried through by someone. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SandboxId } from "../domain/Sandbox.js"
import type { StoreError } from "../store/SandboxStore.js"

/** @category services */
export class Supervisors extends Context.Tag("sandboxer/Supervisors")<
  Supervisors,
  {
    /**
     * Starts a supervisor, which gives way where there is one already. With `here` it is one of this program, that
     * ends with it: for what is done in a moment.
     */
    readonly start: (id: SandboxId, options?: { readonly here?: boolean }) => Effect.Effect<void, StoreError>
    /** Waits until one of this program's own has come to its end; for ever where there is none. */
    readonly ended: (id: SandboxId) => Effect.Effect<void>
  }
>() {}

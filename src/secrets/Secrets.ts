/**
 * Values of secret inputs, kept from the request until the provision has ended. Values belong to the attempt that was
 * requested, and to the attempts that follow it without a new request. So an attempt that ends late does not remove the
 * values of a later request.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { SandboxId } from "../domain/Sandbox.js"
import type { StoreError } from "../store/SandboxStore.js"

export type SecretValues = Readonly<Record<string, Redacted.Redacted>>

/** @category services */
export class Secrets extends Context.Tag("sandboxer/Secrets")<
  Secrets,
  {
    readonly put: (id: SandboxId, attempt: number, values: SecretValues) => Effect.Effect<void, StoreError>
    /** The values that were put for this attempt, or else for the nearest attempt before it. */
    readonly get: (id: SandboxId, attempt: number) => Effect.Effect<SecretValues, StoreError>
    /** Removes the values of this attempt and of all attempts before it. */
    readonly forget: (id: SandboxId, attempt: number) => Effect.Effect<void, StoreError>
  }
>() {}

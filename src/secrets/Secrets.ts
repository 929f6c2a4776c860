/**
 * Values of secret inputs, kept from the request until the provision has ended, and no longer. They are of an attempt, and
 * of those behind it that were not requested anew: what ends late forgets nothing that a later request gave.
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
    /** Those that were put last for this attempt or one before it. */
    readonly get: (id: SandboxId, attempt: number) => Effect.Effect<SecretValues, StoreError>
    /** Forgets those of this attempt and of all before it. */
    readonly forget: (id: SandboxId, attempt: number) => Effect.Effect<void, StoreError>
  }
>() {}

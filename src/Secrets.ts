/** Values of secret inputs, kept from the request until the provision has ended, and no longer. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { SandboxId } from "./domain/Sandbox.js"
import type { StoreError } from "./SandboxStore.js"

export type SecretValues = Readonly<Record<string, Redacted.Redacted>>

/** @category services */
export class Secrets extends Context.Tag("sandboxer/Secrets")<
  Secrets,
  {
    readonly put: (id: SandboxId, values: SecretValues) => Effect.Effect<void, StoreError>
    readonly get: (id: SandboxId) => Effect.Effect<SecretValues, StoreError>
    readonly forget: (id: SandboxId) => Effect.Effect<void, StoreError>
  }
>() {}

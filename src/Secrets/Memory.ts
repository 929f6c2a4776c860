/** Secrets in memory. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SandboxId } from "../domain/Sandbox.js"
import { Secrets, type SecretValues } from "../Secrets.js"

/** @category layers */
export const layer: Layer.Layer<Secrets> = Layer.sync(Secrets, () => {
  const kept = new Map<SandboxId, SecretValues>()
  return {
    put: (id, values) => Effect.sync(() => void kept.set(id, values)),
    get: (id) => Effect.sync(() => kept.get(id) ?? {}),
    forget: (id) => Effect.sync(() => void kept.delete(id))
  }
})

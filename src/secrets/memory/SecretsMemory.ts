/** Secrets in memory, for tests. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SandboxId } from "../../domain/Sandbox.js"
import { Secrets, type SecretValues } from "../Secrets.js"

/** @category layers */
export const layer: Layer.Layer<Secrets> = Layer.sync(Secrets, () => {
  let kept: ReadonlyArray<{
    readonly id: SandboxId
    readonly attempt: number
    readonly values: SecretValues
  }> = []
  return {
    put: (id, attempt, values) =>
      Effect.sync(() => {
        kept = [...kept, { id, attempt, values }]
      }),
    get: (id, attempt) =>
      Effect.sync(() => kept.findLast((one) => one.id === id && one.attempt <= attempt)?.values ?? {}),
    forget: (id, attempt) =>
      Effect.sync(() => {
        kept = kept.filter((one) => one.id !== id || one.attempt > attempt)
      })
  }
})

/** Supervisors as fibers of this program: for those who embed sandboxer, for tests, and for what is done in a moment. */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type { SandboxId } from "../domain/Sandbox.js"
import { type SupervisionServices, supervise } from "../Supervision.js"
import { Supervisors } from "../Supervisors.js"

/** Starts such fibers: they live as long as the scope. */
export const makeFork = Effect.gen(function* () {
  const services = yield* Effect.context<SupervisionServices>()
  const fork = yield* FiberSet.makeRuntime<never>()
  return (id: SandboxId) =>
    Effect.sync(() => {
      fork(
        supervise(id).pipe(
          Effect.catchAllCause((cause) => Effect.logError("a supervisor failed", cause)),
          Effect.provide(services)
        )
      )
    })
})

/**
 * They live as long as the layer; a provision that is not through by then can be taken over by another program.
 * @category layers
 */
export const layer: Layer.Layer<Supervisors, never, SupervisionServices> = Layer.scoped(
  Supervisors,
  Effect.map(makeFork, (fork) => ({ start: fork }))
)

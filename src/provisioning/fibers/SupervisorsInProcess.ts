/** Supervisors as fibers of this program: for programs that embed sandboxer, for tests, and for jobless plans. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type { SandboxId } from "../../domain/Sandbox.js"
import { type SupervisionServices, supervise } from "../Supervision.js"
import { Supervisors } from "../Supervisors.js"

type Shape = Context.Tag.Service<Supervisors>

/** Supervisors that live as long as the scope. `complete` turns them into the service that they start others with. */
export const make = (complete: (here: Shape) => Shape) =>
  Effect.gen(function* () {
    const services = yield* Effect.context<Exclude<SupervisionServices, Supervisors>>()
    const fork = yield* FiberSet.makeRuntime<never>()
    const running = new Map<SandboxId, Fiber.RuntimeFiber<void>>()
    const supervisors: Shape = complete({
      start: (id) =>
        Effect.sync(() => {
          const fiber = fork(
            supervise(id).pipe(
              Effect.catchAllCause((cause) => Effect.logError("a supervisor failed", cause)),
              Effect.provideService(Supervisors, supervisors),
              Effect.provide(services)
            )
          )
          // A supervisor that ends because another works must not replace that one here.
          if (running.has(id)) return
          running.set(id, fiber)
          fiber.addObserver(() => running.delete(id))
        }),
      ended: (id) =>
        Effect.suspend(() => {
          const fiber = running.get(id)
          return fiber === undefined ? Effect.never : Effect.asVoid(Fiber.await(fiber))
        })
    })
    return supervisors
  })

/**
 * Another program can take over a provision that has not ended when this layer closes.
 * @category layers
 */
export const layer: Layer.Layer<Supervisors, never, Exclude<SupervisionServices, Supervisors>> = Layer.scoped(
  Supervisors,
  make((here) => here)
)

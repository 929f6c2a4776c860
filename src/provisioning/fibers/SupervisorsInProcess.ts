/** Supervisors as fibers of this program: for those who embed sandboxer, for tests, and for what is done in a moment. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type { SandboxId } from "../../domain/Sandbox.js"
import { type SupervisionServices, supervise } from "../Supervision.js"
import { Supervisors } from "../Supervisors.js"

type Shape = Context.Tag.Service<Supervisors>

/** Such supervisors, which live as long as the scope; `complete` makes of them what they themselves start others with. */
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
          // One that gives way leaves the one that is at it.
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
 * A provision that is not through when the layer is closed can be taken over by another program.
 * @category layers
 */
export const layer: Layer.Layer<Supervisors, never, Exclude<SupervisionServices, Supervisors>> = Layer.scoped(
  Supervisors,
  make((here) => here)
)

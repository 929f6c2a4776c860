/** Two hubs that receive the same notes. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { StateHub } from "../StateHub.js"

/**
 * Sends to both, independent of each other's answers. Notes count as sent once both have them, so while one hub is down the
 * other receives them again. If one of them is no hub, this is the other one.
 * @category layers
 */
export const layer = <R1, R2>(
  one: Layer.Layer<StateHub, never, R1>,
  other: Layer.Layer<StateHub, never, R2>
): Layer.Layer<StateHub, never, R1 | R2> =>
  Layer.scoped(
    StateHub,
    Effect.gen(function* () {
      const built = [yield* Layer.build(one), yield* Layer.build(other)]
      const hubs = built
        .map((context) => Context.get(context, StateHub))
        .filter(({ tells }) => tells !== false)
      const targets = hubs.flatMap(({ target }) => target ?? [])
      const warnings = hubs.flatMap(({ warning }) => warning ?? [])
      return {
        publish: (notes) =>
          Effect.flatMap(
            Effect.forEach(hubs, ({ publish }) => Effect.either(publish(notes)), {
              concurrency: "unbounded"
            }),
            (results) => Effect.all(results, { discard: true })
          ),
        ...(targets.length === 0 ? {} : { target: targets.join(" and ") }),
        ...(warnings.length === 0 ? {} : { warning: warnings.join("; ") }),
        ...(hubs.length === 0 ? { tells: false as const } : {})
      }
    })
  )

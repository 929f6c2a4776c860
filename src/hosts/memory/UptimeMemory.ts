/** An uptime that is told. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Uptime } from "../Uptime.js"

/**
 * That of one boot; `seconds` follows Effect's clock where it is left out.
 * @category layers
 */
export const layer = ({
  bootId = "memory",
  seconds = Effect.map(Clock.currentTimeMillis, (millis) => millis / 1000)
}: {
  readonly bootId?: string
  readonly seconds?: Effect.Effect<number>
} = {}): Layer.Layer<Uptime> => Layer.succeed(Uptime, { bootId, seconds })

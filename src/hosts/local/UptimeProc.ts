/** The uptime as /proc tells it; the time that a machine sleeps counts. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Proc from "../../internal/Proc.js"
import { Uptime } from "../Uptime.js"

/** @category layers */
export const layer: Layer.Layer<Uptime> = Layer.sync(Uptime, () => ({
  bootId: Proc.bootId(),
  seconds: Effect.sync(Proc.uptimeSeconds)
}))

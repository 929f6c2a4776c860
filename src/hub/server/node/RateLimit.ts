/** Limits requests per client with a token bucket. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { TimingShape } from "../../../settings/Timing.js"

/** Whether a client may send a request now; if not, the seconds to wait. */
export type RateLimit = (client: string) => Effect.Effect<number | undefined>

export const makeRateLimit = ({
  rateBurst: burst,
  rateClients,
  ratePerSecond: perSecond
}: TimingShape["hubServer"]): RateLimit => {
  const buckets = new Map<string, { tokens: number; at: number }>()
  return (client) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const known = buckets.get(client)
      // A clock that was set back must not drain the bucket.
      const passed = Math.max(0, now - (known?.at ?? now))
      const tokens = Math.min(burst, (known?.tokens ?? burst) + (passed * perSecond) / 1000)
      const may = tokens >= 1
      // The first entry was idle longest, so its bucket is most likely full.
      buckets.delete(client)
      buckets.set(client, { tokens: may ? tokens - 1 : tokens, at: now })
      if (buckets.size > rateClients) {
        for (const oldest of buckets.keys()) {
          buckets.delete(oldest)
          break
        }
      }
      return may ? undefined : Math.ceil((1 - tokens) / perSecond)
    })
}

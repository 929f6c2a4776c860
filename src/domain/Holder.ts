import * as Schema from "effect/Schema"

/**
 * The process that holds a lease. All four fields together identify it: the kernel reuses pids, and machines restart.
 * `startTime` is in clock ticks since boot, as in /proc.
 * @category model
 */
export const Holder = Schema.Struct({
  machine: Schema.String,
  bootId: Schema.String,
  pid: Schema.Int,
  startTime: Schema.Number
})
export type Holder = typeof Holder.Type

/** A lease in the store. `term` is the fence: the store rejects what an older term writes. */
export interface HeldLease {
  readonly term: number
  /** Null after the last holder released it. */
  readonly holder: Holder | null
  /** Counts the heartbeats of this term. */
  readonly beat: number
}

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

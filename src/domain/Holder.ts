import * as Schema from "effect/Schema"

/**
 * Who holds a lease: a process, named so that it cannot be taken for another one, also after its pid was used again
 * or the machine was started anew. `startTime` is in the kernel's clock ticks since boot.
 * @category model
 */
export const Holder = Schema.Struct({
  machine: Schema.String,
  bootId: Schema.String,
  pid: Schema.Int,
  startTime: Schema.Number
})
export type Holder = typeof Holder.Type

/** A lease as it is in the store. `term` is the fence: what an older term writes is refused. */
export interface HeldLease {
  readonly term: number
  /** Null where the last one gave it back. */
  readonly holder: Holder | null
  /** Grows with each heartbeat. */
  readonly beat: number
}

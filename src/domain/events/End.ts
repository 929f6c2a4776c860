/** Events of the end of an attempt. Each attempt has one of `ready`, `failed`, `retrying` and `cancelled`. */
import * as Schema from "effect/Schema"
import { type Failure, FailureReason } from "../Failure.js"
import type { PhaseName } from "../Phase.js"
import { kind, type New, NoData } from "./Kind.js"

/** Which attempt ended. */
interface Attempt {
  readonly attempt: number
}

/** The provision succeeded. */
export const Ready = kind("ready", NoData)
export type NewReady = New<typeof Ready, Attempt>

export const ready = (attempt: number): NewReady => ({
  type: "ready",
  phase: null,
  message: "ready",
  data: {},
  occurrence: { attempt }
})

const why = { reason: FailureReason, hint: Schema.String }

/** The provision failed for good. */
export const Failed = kind("failed", Schema.Struct(why))
export type NewFailed = New<typeof Failed, Attempt>

export const failed = (attempt: number, { hint, message, reason }: Failure): NewFailed => ({
  type: "failed",
  phase: null,
  message,
  data: { reason, hint },
  occurrence: { attempt }
})

/** This attempt failed, and the next one starts by itself; `logPath` is this attempt's log. */
export const Retrying = kind(
  "retrying",
  Schema.Struct({ ...why, attempt: Schema.Int, logPath: Schema.NullOr(Schema.String) })
)
export type NewRetrying = New<typeof Retrying, Attempt>

/** `times` is how often the plan retries. */
export const retrying = (options: {
  readonly attempt: number
  readonly times: number
  readonly failure: Failure
  readonly logPath: string | null
}): NewRetrying => {
  const { attempt, failure, logPath, times } = options
  const { hint, message, reason } = failure
  return {
    type: "retrying",
    phase: null,
    message: `attempt ${attempt} failed (${reason}: ${message}); trying again, ${attempt} of ${times} times`,
    data: { reason, hint, attempt, logPath },
    occurrence: { attempt }
  }
}

/** Someone asked to cancel the attempt; it is still running. */
export const Cancelling = kind("cancelling", NoData)
export type NewCancelling = New<typeof Cancelling, Attempt>

export const cancelling = (attempt: number, phase: PhaseName | null): NewCancelling => ({
  type: "cancelling",
  phase,
  message: "asked to cancel",
  data: {},
  occurrence: { attempt }
})

/** How many Jobs ended, how many of their processes were killed, and how many are left, which is none. */
const Proof = Schema.Struct({ jobs: Schema.Int, killed: Schema.Int, left: Schema.Int })
export type Proof = typeof Proof.Type

/** The provision was cancelled. */
export const Cancelled = kind("cancelled", Schema.Struct({ proof: Proof }))
export type NewCancelled = New<typeof Cancelled, Attempt>

export const cancelled = (attempt: number, proof: Proof): NewCancelled => ({
  type: "cancelled",
  phase: null,
  message: "cancelled: nothing of it is running",
  data: { proof },
  occurrence: { attempt }
})

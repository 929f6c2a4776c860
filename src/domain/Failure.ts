import * as Schema from "effect/Schema"

/**
 * Why a provision ended without what was asked for: a closed set, each with one exit code.
 * @category model
 */
const exitCodes = {
  internal: 1,
  "template-invalid": 2,
  "input-invalid": 2,
  "host-refused": 4,
  "host-key-changed": 4,
  "build-failed": 10,
  "provisioner-failed": 10,
  "command-failed": 10,
  "collect-failed": 10,
  "connect-timeout": 10,
  "connect-refused": 10,
  "checksum-mismatch": 10,
  "download-failed": 10,
  "prepare-failed": 10,
  "no-artifact": 10,
  "artifact-damaged": 10,
  interrupted: 10,
  "timed-out": 11,
  "output-exists": 13,
  "host-unreachable": 14,
  "packer-missing": 15,
  "packer-unusable": 15,
  "plugin-missing": 15,
  "command-missing": 15,
  "disk-space": 15,
  "host-files": 15,
  cancelled: 130
} as const

export type FailureReason = keyof typeof exitCodes

export const failureReasons = Object.keys(exitCodes) as ReadonlyArray<FailureReason>

/** @category schemas */
export const FailureReason = Schema.Literal(...(failureReasons as [FailureReason, ...Array<FailureReason>]))

/** The exit code of the command line for a failure reason. */
export const exitCodeOf = (reason: FailureReason): number => exitCodes[reason]

/**
 * A provision's failure: `message` says what went wrong, `hint` the next thing the user can do, `logTail` the last
 * lines of what was running, redacted.
 * @category errors
 */
export class ProvisionError extends Schema.TaggedError<ProvisionError>("sandboxer/ProvisionError")(
  "ProvisionError",
  {
    reason: FailureReason,
    message: Schema.String,
    hint: Schema.String,
    logTail: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
  }
) {}

/**
 * A failure as it is kept in the record of a sandbox. `runbook` is a path below the project's root.
 * @category model
 */
export const Failure = Schema.Struct({
  reason: FailureReason,
  message: Schema.String,
  hint: Schema.String,
  logTail: Schema.Array(Schema.String),
  runbook: Schema.NullOr(Schema.String)
})
export type Failure = typeof Failure.Type

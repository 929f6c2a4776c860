import * as Schema from "effect/Schema"

/**
 * Why a provision ended without what was asked for: a closed set, each with one exit code and, in a few words, what it
 * is. Each has a page of its own, which says what to look at and what to do.
 */
const reasons = {
  internal: { exitCode: 1, title: "a bug" },
  "template-invalid": { exitCode: 2, title: "Packer refuses the template" },
  "input-invalid": { exitCode: 2, title: "the template declares no such variable" },
  "host-refused": { exitCode: 4, title: "the host does not let us in" },
  "host-key-changed": { exitCode: 4, title: "the host has another key than before" },
  "build-failed": { exitCode: 10, title: "the build failed in a way that has no name of its own" },
  "boot-failed": { exitCode: 10, title: "the boot command ran into nothing" },
  "connect-timeout": { exitCode: 10, title: "the guest did not answer in time" },
  "connect-refused": { exitCode: 10, title: "the guest answers, and does not let Packer in" },
  "no-scp": { exitCode: 10, title: "the guest takes no files: it has no scp" },
  "provisioner-failed": { exitCode: 10, title: "a provisioner failed" },
  "shutdown-timeout": { exitCode: 10, title: "the guest did not shut down in time" },
  "hypervisor-died": { exitCode: 10, title: "the machine's process ended before its build" },
  "packer-crashed": { exitCode: 10, title: "Packer itself crashed" },
  "disk-full": { exitCode: 10, title: "the disk became full" },
  "out-of-memory": { exitCode: 10, title: "the kernel killed it, for want of memory" },
  "checksum-mismatch": { exitCode: 10, title: "a file is not the one that the template names" },
  "download-failed": { exitCode: 10, title: "a file cannot be downloaded" },
  "prepare-failed": { exitCode: 10, title: "the profile's prepare command failed" },
  "command-failed": { exitCode: 10, title: "the remote command failed" },
  "collect-failed": { exitCode: 10, title: "what was to be brought back is not there" },
  "no-artifact": { exitCode: 10, title: "Packer ended well, and made no file" },
  "artifact-damaged": { exitCode: 10, title: "a file is not what it was" },
  interrupted: { exitCode: 10, title: "it was killed, or the machine went down" },
  stalled: { exitCode: 11, title: "nothing was printed for longer than the profile allows" },
  "timed-out": { exitCode: 11, title: "it took longer than it may" },
  "host-full": { exitCode: 12, title: "all slots of the host stayed taken" },
  locked: { exitCode: 13, title: "another provision has what it needs" },
  "output-exists": { exitCode: 13, title: "something is in the way of the output" },
  "port-taken": { exitCode: 13, title: "another program has the port" },
  "host-unreachable": { exitCode: 14, title: "the host cannot be reached" },
  "packer-missing": { exitCode: 15, title: "there is no Packer" },
  "packer-unusable": { exitCode: 15, title: "what is called packer is of no use" },
  "plugin-missing": { exitCode: 15, title: "a Packer plugin is missing" },
  "command-missing": { exitCode: 15, title: "a program is missing" },
  "kvm-unusable": { exitCode: 15, title: "KVM cannot be used" },
  "disk-space": { exitCode: 15, title: "there is too little space to begin" },
  "host-files": { exitCode: 15, title: "a file or folder cannot be read or written" },
  cancelled: { exitCode: 130, title: "someone asked for it" }
} as const satisfies Readonly<Record<string, { readonly exitCode: number; readonly title: string }>>

export type FailureReason = keyof typeof reasons

export const failureReasons = Object.keys(reasons) as ReadonlyArray<FailureReason>

/** @category schemas */
export const FailureReason = Schema.Literal(...(failureReasons as [FailureReason, ...Array<FailureReason>]))

/** The exit code of the command line for a failure reason. */
export const exitCodeOf = (reason: FailureReason): number => reasons[reason].exitCode

/** What a failure reason is, in a few words. */
export const titleOf = (reason: FailureReason): string => reasons[reason].title

/** The page of a failure reason, a path below the project's root. */
export const runbookOf = (reason: FailureReason): string => `runbooks/failures/${reason}.md`

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
 * A failure as it is kept in the record of a sandbox. `runbook` is the page of its reason.
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

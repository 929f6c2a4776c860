import * as Schema from "effect/Schema"

/**
 * Why a provision ended without what was asked for: a closed set, each with one exit code and, in a few words, what it
 * is. Each has a page of its own, which says what to look at and what to do.
 */
const reasons = {
  internal: { exitCode: 1, title: "a bug" },
  "template-invalid": { exitCode: 2, title: "Packer rejects the template" },
  "input-invalid": { exitCode: 2, title: "the template does not declare the variable" },
  "host-refused": { exitCode: 4, title: "the host refused the login" },
  "host-key-changed": { exitCode: 4, title: "the host's key has changed" },
  "build-failed": { exitCode: 10, title: "the build failed for another reason" },
  "boot-failed": { exitCode: 10, title: "the boot command had no effect" },
  "connect-timeout": { exitCode: 10, title: "the guest did not answer in time" },
  "connect-refused": { exitCode: 10, title: "the guest refused Packer's login" },
  "no-scp": { exitCode: 10, title: "the guest has no scp" },
  "provisioner-failed": { exitCode: 10, title: "a provisioner failed" },
  "shutdown-timeout": { exitCode: 10, title: "the guest did not shut down in time" },
  "hypervisor-died": { exitCode: 10, title: "the virtual machine ended during its build" },
  "packer-crashed": { exitCode: 10, title: "Packer or a plugin crashed" },
  "disk-full": { exitCode: 10, title: "the disk became full" },
  "out-of-memory": { exitCode: 10, title: "the kernel killed a process for lack of memory" },
  "checksum-mismatch": { exitCode: 10, title: "a download does not match its checksum" },
  "download-failed": { exitCode: 10, title: "a file cannot be downloaded" },
  "prepare-failed": { exitCode: 10, title: "the profile's prepare command failed" },
  "command-failed": { exitCode: 10, title: "the remote command failed" },
  "collect-failed": { exitCode: 10, title: "the results cannot be collected" },
  "no-artifact": { exitCode: 10, title: "Packer succeeded but made no file" },
  "artifact-damaged": { exitCode: 10, title: "an artifact differs from its record" },
  interrupted: { exitCode: 10, title: "the Job was killed, or the machine went down" },
  stalled: { exitCode: 11, title: "no output for longer than the profile allows" },
  "timed-out": { exitCode: 11, title: "it exceeded its time limit" },
  "host-full": { exitCode: 12, title: "all slots of the host stayed taken" },
  locked: { exitCode: 13, title: "another provision holds what it needs" },
  "output-exists": { exitCode: 13, title: "a file is in the place of the output" },
  "port-taken": { exitCode: 13, title: "another program uses the port" },
  "host-unreachable": { exitCode: 14, title: "the host cannot be reached" },
  "packer-missing": { exitCode: 15, title: "Packer is not installed" },
  "packer-unusable": { exitCode: 15, title: "the program named packer is unusable" },
  "plugin-missing": { exitCode: 15, title: "a Packer plugin is missing" },
  "command-missing": { exitCode: 15, title: "a program is missing" },
  "kvm-unusable": { exitCode: 15, title: "KVM cannot be used" },
  "disk-space": { exitCode: 15, title: "too little disk space to start" },
  "host-files": { exitCode: 15, title: "a file or folder cannot be read or written" },
  cancelled: { exitCode: 130, title: "someone cancelled it" }
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

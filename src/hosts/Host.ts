/**
 * A host: a machine that runs commands and has files. It may be another machine, so its paths are `HostPath`s, which must not
 * be used on this one.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { HostPath } from "../domain/HostPath.js"
import type { Placement } from "../domain/Placement.js"

/**
 * An operation of a host failed. `host` is its name.
 * @category errors
 */
export class HostError extends Schema.TaggedError<HostError>("sandboxer/HostError")("HostError", {
  reason: Schema.Literal(
    "unreachable",
    "refused",
    "key-changed",
    "not-found",
    "exists",
    "not-permitted",
    "disk-full",
    "program-missing",
    "no-answer",
    "processes-left",
    "other"
  ),
  host: Schema.String,
  message: Schema.String,
  hint: Schema.String
}) {}

/** A program with its arguments, never a shell command. `env` is added to the host's own environment. */
export interface Command {
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly cwd?: HostPath
  readonly env?: Readonly<Record<string, string>>
}

export interface CommandResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * A Job: a command that outlives its starter. Its folder has its output, its identity and its exit code, and the folder's name
 * identifies its processes. `stop` says who gets the signal to end: the command alone (which then ends its children), or its
 * whole process group.
 */
export interface Job extends Command {
  readonly folder: HostPath
  readonly stop: StopSignal
}
export type StopSignal = "leader" | "group"

/** The cookie: an environment variable of every process of a Job, whose value is the Job's folder. */
export const cookie = "SANDBOXER_JOB"

export type JobStatus =
  | { readonly _tag: "Absent" }
  | { readonly _tag: "Running" }
  | { readonly _tag: "Exited"; readonly exitCode: number }
  /** It was started, does not run any more and left no exit code: it was killed, or the machine went down. */
  | { readonly _tag: "Interrupted" }

/** A living process of a Job; `name` is the first 15 bytes of its program's name. */
export interface JobProcess {
  readonly pid: number
  readonly name: string
}

/** A piece of a Job's output; `end` is the offset after its last byte. */
export interface JobOutput {
  readonly bytes: Uint8Array
  readonly end: number
}

/** The proof that nothing of a Job runs any more: the number of processes that were killed, and that none is left. */
export interface JobStopped {
  readonly killed: number
  readonly left: 0
}

/**
 * Changes in places that other provisions use are made behind a fence: the path of a folder that belongs to a supervisor's
 * term and need not exist. After `stopJob` for it, or once its parent folder is gone, nothing behind it runs or starts.
 */
export interface RunOptions {
  readonly timeoutSeconds?: number
  readonly fence?: HostPath
  /** The command ends by itself in a moment, so it is not watched: watching would take longer. */
  readonly brief?: boolean
}

export interface FileInfo {
  readonly type: "file" | "folder" | "other"
  readonly sizeBytes: number
}

/** How a local folder is copied to a host. */
export interface SyncOptions {
  /** rsync patterns for files that are neither sent nor deleted. */
  readonly exclude: ReadonlyArray<string>
  /** Whether files that `.gitignore` names are left out, too. */
  readonly gitignore: boolean
  /** Reports what would change, and changes nothing. */
  readonly dryRun: boolean
  readonly fence?: HostPath
}

/** What a sync changes: a path relative to the folder. */
export interface SyncChange {
  readonly kind: "sent" | "deleted"
  readonly path: string
}

/** The login on a host, and the fingerprint of the host's key (`SHA256:…`); null on this machine. */
export interface HostIdentity {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly keyFingerprint: string | null
}

/** `becomes` of a host whose connection is never lost. */
export const neverLost = (connected: boolean): Effect.Effect<void> => (connected ? Effect.void : Effect.never)

export interface HostShape {
  readonly name: string
  /** sandboxer's own folder on the host, private to the user. */
  readonly home: HostPath
  /** Programs that must be on its PATH, besides sh: for Jobs, and for copying files. */
  readonly programs: { readonly jobs: ReadonlyArray<string>; readonly files: ReadonlyArray<string> }
  /** Waits until the host is connected, or until it is not. Jobs there continue meanwhile. */
  readonly becomes: (connected: boolean) => Effect.Effect<void>
  /** Starts connecting early, so that the first command need not wait. Never fails. */
  readonly prepare: Effect.Effect<void>
  /** Runs a command to its end, stdin closed; keeps at most 1 MiB of each output. Interrupting ends the command. */
  readonly run: (command: Command, options?: RunOptions) => Effect.Effect<CommandResult, HostError>

  /** Starts a job in its folder, which must exist, unless it was started before; any number may try at once. */
  readonly startJob: (job: Job) => Effect.Effect<void, HostError>
  readonly jobStatus: (folder: HostPath) => Effect.Effect<JobStatus, HostError>
  /** The running processes of a job: those with its cookie or in its group, without zombies. Empty if the job does not exist. */
  readonly jobProcesses: (folder: HostPath) => Effect.Effect<ReadonlyArray<JobProcess>, HostError>
  /** The folders below `home` of Jobs with living processes. */
  readonly livingJobs: Effect.Effect<ReadonlyArray<HostPath>, HostError>
  /** A Job's output from an offset on, as it comes. Ends when the Job has ended and everything was read. */
  readonly followJob: (folder: HostPath, from: number) => Stream.Stream<JobOutput, HostError>
  /**
   * Asks a Job to end, waits, kills what is left, and proves that nothing runs. A Job that has not started never will: its
   * folder is created for that, if its parent folder exists.
   */
  readonly stopJob: (
    folder: HostPath,
    options: { readonly stop: StopSignal; readonly graceSeconds: number }
  ) => Effect.Effect<JobStopped, HostError>

  /** Makes a local file or folder available on the host, unchanged. The local host only returns its path and needs no fence. */
  readonly stage: <E = never>(
    local: string,
    fence?: Effect.Effect<HostPath, E>
  ) => Effect.Effect<HostPath, HostError | E>
  /** Copies a local file or folder to a path that must not exist. */
  readonly put: (local: string, path: HostPath) => Effect.Effect<void, HostError>
  /** Copies a file to a local path that must not exist; it is complete when this ends. */
  readonly get: (path: HostPath, local: string) => Effect.Effect<void, HostError>
  /** Writes a private file (0600), completely or not at all. */
  readonly write: (path: HostPath, content: string) => Effect.Effect<void, HostError>
  readonly makeFolder: (path: HostPath) => Effect.Effect<void, HostError>
  /** Like `makeFolder`, but the parent must exist: a folder that was removed is not created again. */
  readonly makeSubfolder: (path: HostPath) => Effect.Effect<void, HostError>
  /** Names in a folder, sorted. */
  readonly list: (path: HostPath) => Effect.Effect<ReadonlyArray<string>, HostError>
  /** Information about a file, following links; `undefined` if it does not exist. */
  readonly info: (path: HostPath) => Effect.Effect<FileInfo | undefined, HostError>
  /** The path with links resolved, which shows whether it is outside a folder. */
  readonly realPath: (path: HostPath) => Effect.Effect<HostPath, HostError>
  readonly sha256: (path: HostPath) => Effect.Effect<string, HostError>
  /** Removes a file or folder, if it exists. */
  readonly remove: (path: HostPath) => Effect.Effect<void, HostError>
  /** Like `remove`, and removes the parent folder too if it is empty then. */
  readonly removeWithFolder: (path: HostPath) => Effect.Effect<void, HostError>
  /** The free space for files below a path, in bytes. */
  readonly freeBytes: (path: HostPath) => Effect.Effect<number, HostError>

  /** Makes a folder equal to a local one. Other files in that folder are deleted. */
  readonly sync: (
    local: string,
    folder: HostPath,
    options: SyncOptions
  ) => Effect.Effect<ReadonlyArray<SyncChange>, HostError>
  /** Copies files, named relative to a folder, into a local folder, each complete and under its relative path. */
  readonly fetch: (
    folder: HostPath,
    names: ReadonlyArray<string>,
    local: string
  ) => Effect.Effect<void, HostError>
  /**
   * Runs a command with this program's stdin, stdout and stderr, for a person or a script. Returns its exit code. `terminal`:
   * the command gets a terminal.
   */
  readonly interact: (
    command: Command,
    options: { readonly terminal: boolean }
  ) => Effect.Effect<number, HostError>
  readonly identity: Effect.Effect<HostIdentity, HostError>
}

/** @category services */
export class Host extends Context.Tag("sandboxer/Host")<Host, HostShape>() {}

/**
 * Gives the Host of a placement.
 * @category services
 */
export class Hosts extends Context.Tag("sandboxer/Hosts")<
  Hosts,
  { readonly get: (placement: Placement) => Effect.Effect<HostShape, HostError> }
>() {}

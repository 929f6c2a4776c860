/**
 * A machine that commands run on and that files lie on. It need not be this one: its paths are `HostPath`s, which
 * mean nothing here.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { HostPath } from "../domain/HostPath.js"
import type { Placement } from "../domain/Placement.js"

/**
 * What a host could not do. `host` is its name.
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

/** A program with its arguments: never a shell's line. `env` is added to the host's own environment. */
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
 * A command that outlives whoever started it. `folder` is its own: what it prints, who it is and how it ended are
 * kept there, and its name tells which processes are its. `stop` says who is told to end: the command alone (which
 * then ends what it started), or its whole process group.
 */
export interface Job extends Command {
  readonly folder: HostPath
  readonly stop: StopSignal
}
export type StopSignal = "leader" | "group"

/** The variable whose value is the job's folder, in every process that a job started. */
export const cookie = "SANDBOXER_JOB"

export type JobStatus =
  | { readonly _tag: "Absent" }
  | { readonly _tag: "Running" }
  | { readonly _tag: "Exited"; readonly exitCode: number }
  /** It was started, and is neither running nor did it leave an exit code: the machine went down, or it was killed. */
  | { readonly _tag: "Interrupted" }

/** A living process of a job; `name` is that of its program, its first 15 bytes. */
export interface JobProcess {
  readonly pid: number
  readonly name: string
}

/** A piece of a job's output; `end` is the offset behind its last byte. */
export interface JobOutput {
  readonly bytes: Uint8Array
  readonly end: number
}

/** The proof that nothing of a job runs any more: how many processes had to be killed, and that none was left. */
export interface JobStopped {
  readonly killed: number
  readonly left: 0
}

/**
 * What is changed where others work, too, is changed behind a fence, a folder of a supervisor's term that need not be
 * there: from when `stopJob` was called for it, or the folder that it is in is gone, nothing of it runs or begins.
 */
export interface RunOptions {
  readonly timeoutSeconds?: number
  readonly fence?: HostPath
  /** It ends by itself in a moment: nothing watches over it, which takes longer than it does. */
  readonly brief?: boolean
}

export interface FileInfo {
  readonly type: "file" | "folder" | "other"
  readonly sizeBytes: number
}

/** How a local folder is brought to a host. */
export interface SyncOptions {
  /** rsync's patterns of what is neither sent nor deleted. */
  readonly exclude: ReadonlyArray<string>
  /** Whether what `.gitignore` files name is left out, too. */
  readonly gitignore: boolean
  /** Says what would change, and changes nothing. */
  readonly dryRun: boolean
  readonly fence?: HostPath
}

/** What a sync changes: a path relative to the folder. */
export interface SyncChange {
  readonly kind: "sent" | "deleted"
  readonly path: string
}

/** Who one is on a host, and the fingerprint of its key (`SHA256:…`); null on this machine. */
export interface HostIdentity {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly keyFingerprint: string | null
}

/** What `becomes` is of a host that is never lost. */
export const neverLost = (connected: boolean): Effect.Effect<void> => (connected ? Effect.void : Effect.never)

export interface HostShape {
  readonly name: string
  /** sandboxer's own folder on the host, private to the user. */
  readonly home: HostPath
  /** What has to be on its PATH, beside sh: for jobs, and for files that are brought there or back. */
  readonly programs: { readonly jobs: ReadonlyArray<string>; readonly files: ReadonlyArray<string> }
  /** Waits until the host is connected, or until it is not: what runs there as a job goes on meanwhile. */
  readonly becomes: (connected: boolean) => Effect.Effect<void>
  /** Begins what the first question takes, for whoever has something else to do before that; it does not fail. */
  readonly prepare: Effect.Effect<void>
  /** Runs a command to its end, stdin closed; keeps at most 1 MiB of each output. Interrupting ends the command. */
  readonly run: (command: Command, options?: RunOptions) => Effect.Effect<CommandResult, HostError>

  /** Starts a job in its folder, which must exist, unless it was started before; any number may try at once. */
  readonly startJob: (job: Job) => Effect.Effect<void, HostError>
  readonly jobStatus: (folder: HostPath) => Effect.Effect<JobStatus, HostError>
  /** What lives of a job: processes with its cookie or in its group, zombies aside; none where it is not there. */
  readonly jobProcesses: (folder: HostPath) => Effect.Effect<ReadonlyArray<JobProcess>, HostError>
  /** Folders, below `home`, of jobs of which something lives; those of another home are nobody's here. */
  readonly livingJobs: Effect.Effect<ReadonlyArray<HostPath>, HostError>
  /** What a job printed from an offset on, as it comes; ends when the job has ended and all was read. */
  readonly followJob: (folder: HostPath, from: number) => Stream.Stream<JobOutput, HostError>
  /**
   * Asks a job to end, waits, kills what is left, and proves that nothing is. One not yet started never will be: where
   * its folder is not there, but the one that it is to be in is, it is made.
   */
  readonly stopJob: (
    folder: HostPath,
    options: { readonly stop: StopSignal; readonly graceSeconds: number }
  ) => Effect.Effect<JobStopped, HostError>

  /** Makes a local file or folder available as it is; the local host just names it, and needs no fence. */
  readonly stage: <E = never>(
    local: string,
    fence?: Effect.Effect<HostPath, E>
  ) => Effect.Effect<HostPath, HostError | E>
  /** Copies a local file or folder to a path that must not exist. */
  readonly put: (local: string, path: HostPath) => Effect.Effect<void, HostError>
  /** Brings a file to a local path that must not exist; the file here is whole when this ends. */
  readonly get: (path: HostPath, local: string) => Effect.Effect<void, HostError>
  /** Writes a private file (0600), whole or not at all. */
  readonly write: (path: HostPath, content: string) => Effect.Effect<void, HostError>
  readonly makeFolder: (path: HostPath) => Effect.Effect<void, HostError>
  /** As `makeFolder`, in a folder that must exist: what was removed meanwhile is not made again. */
  readonly makeSubfolder: (path: HostPath) => Effect.Effect<void, HostError>
  /** Names in a folder, sorted. */
  readonly list: (path: HostPath) => Effect.Effect<ReadonlyArray<string>, HostError>
  /** What is there, links followed; `undefined` where nothing is. */
  readonly info: (path: HostPath) => Effect.Effect<FileInfo | undefined, HostError>
  /** The path without links: a place outside of a folder shows by it. */
  readonly realPath: (path: HostPath) => Effect.Effect<HostPath, HostError>
  readonly sha256: (path: HostPath) => Effect.Effect<string, HostError>
  /** Removes a file or folder, if it is there. */
  readonly remove: (path: HostPath) => Effect.Effect<void, HostError>
  /** The same, and the folder that it is in, where nothing else is. */
  readonly removeWithFolder: (path: HostPath) => Effect.Effect<void, HostError>
  /** Bytes that are free for files below a path. */
  readonly freeBytes: (path: HostPath) => Effect.Effect<number, HostError>

  /** Makes a folder the same as a local one: what is not in that one is deleted, within the folder alone. */
  readonly sync: (
    local: string,
    folder: HostPath,
    options: SyncOptions
  ) => Effect.Effect<ReadonlyArray<SyncChange>, HostError>
  /** Brings files, named relative to a folder, into a local folder, each whole and with its relative path. */
  readonly fetch: (
    folder: HostPath,
    names: ReadonlyArray<string>,
    local: string
  ) => Effect.Effect<void, HostError>
  /**
   * Runs a command with this program's own stdin, stdout and stderr, for a person or a script to use; gives its exit
   * code. `terminal`: it has a terminal there.
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

/** Jobs of a host in memory: fibers that outlive their starter. */
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { dirname, type HostPath } from "../../domain/HostPath.js"
import type { HostError, HostShape, Job, JobOutput, JobStatus } from "../Host.js"

interface Kept {
  /** None for one that was stopped before it started. */
  readonly job: Job | undefined
  readonly output: Uint8Array
  readonly status: JobStatus
  /** Completed at the next change. */
  readonly changed: Deferred.Deferred<void>
  /** Completed with how it is to end. */
  readonly stop: Deferred.Deferred<JobStatus>
}

const encoder = new TextEncoder()

const newJob = (job: Job | undefined, status: JobStatus): Kept => ({
  job,
  output: new Uint8Array(),
  status,
  changed: Deferred.unsafeMake(FiberId.none),
  stop: Deferred.unsafeMake(FiberId.none)
})

/** `run` is what a job does; its fiber ends with the scope. */
export const make = (options: {
  readonly scope: Scope.Scope
  readonly isFolder: (path: HostPath) => boolean
  readonly makeFolder: (path: HostPath) => void
  readonly missing: (path: HostPath) => HostError
  readonly run: (job: Job, print: (text: string) => Effect.Effect<void>) => Effect.Effect<number, HostError>
}) => {
  const { isFolder, missing } = options
  const jobs = new Map<HostPath, Kept>()

  const change = (folder: HostPath, fields: (before: Kept) => Partial<Kept>) =>
    Effect.suspend(() => {
      const before = jobs.get(folder)
      if (before === undefined) return Effect.void
      jobs.set(folder, { ...before, ...fields(before), changed: Deferred.unsafeMake(FiberId.none) })
      return Deferred.succeed(before.changed, undefined)
    })

  const print = (folder: HostPath) => (text: string) =>
    Effect.asVoid(
      change(folder, ({ output }) => ({ output: new Uint8Array([...output, ...encoder.encode(text)]) }))
    )

  const run = (job: Job, { stop }: Kept) => {
    const ended = options.run(job, print(job.folder)).pipe(
      Effect.catchAll(({ message }) => Effect.as(print(job.folder)(`${message}\n`), 1)),
      Effect.map((exitCode): JobStatus => ({ _tag: "Exited", exitCode }))
    )
    return Effect.raceFirst(ended, Deferred.await(stop)).pipe(
      Effect.interruptible,
      Effect.onExit((exit) =>
        change(job.folder, () => ({
          status: Exit.getOrElse(exit, (): JobStatus => ({ _tag: "Interrupted" }))
        }))
      ),
      Effect.forkIn(options.scope)
    )
  }

  const untilEnded = (folder: HostPath): Effect.Effect<void> =>
    Effect.suspend(() => {
      const job = jobs.get(folder)
      return job?.status._tag === "Running"
        ? Effect.zipRight(Deferred.await(job.changed), untilEnded(folder))
        : Effect.void
    })

  const startJob: HostShape["startJob"] = (job) =>
    Effect.suspend(() => {
      if (!isFolder(job.folder)) return Effect.fail(missing(job.folder))
      if (jobs.has(job.folder)) return Effect.void
      const kept = newJob(job, { _tag: "Running" })
      jobs.set(job.folder, kept)
      return Effect.asVoid(run(job, kept))
    }).pipe(Effect.uninterruptible)

  const jobStatus: HostShape["jobStatus"] = (folder) =>
    Effect.sync(() => jobs.get(folder)?.status ?? { _tag: "Absent" })

  // The wrapper that a real job has is none here: its command is its one process.
  const jobProcesses: HostShape["jobProcesses"] = (folder) =>
    Effect.sync(() =>
      [...jobs.keys()].flatMap((at, index) => {
        const { job, status } = jobs.get(at) ?? {}
        return at === folder && job !== undefined && status?._tag === "Running"
          ? [{ pid: index + 1, name: job.program.slice(0, 15) }]
          : []
      })
    )

  const followJob: HostShape["followJob"] = (folder, from) =>
    Stream.paginateChunkEffect(from, (at) =>
      Effect.suspend(() => {
        const job = jobs.get(folder)
        if (job === undefined) return Effect.fail(missing(folder))
        const { changed, output, status } = job
        const more: ReadonlyArray<JobOutput> =
          output.length > at ? [{ bytes: output.slice(at), end: output.length }] : []
        const quiet = more.length === 0
        return Effect.as(quiet && status._tag === "Running" ? Deferred.await(changed) : Effect.void, [
          Chunk.fromIterable(more),
          quiet && status._tag !== "Running" ? Option.none() : Option.some(at + (more[0]?.bytes.length ?? 0))
        ] as const)
      })
    )

  const stopJob: HostShape["stopJob"] = (folder, { graceSeconds }) =>
    Effect.suspend(() => {
      const job = jobs.get(folder)
      if (job === undefined && isFolder(dirname(folder))) {
        options.makeFolder(folder)
        jobs.set(folder, newJob(undefined, { _tag: "Interrupted" }))
      }
      if (job?.status._tag !== "Running") return Effect.succeed({ killed: 0, left: 0 } as const)
      const told = graceSeconds > 0
      const end: JobStatus = told ? { _tag: "Exited", exitCode: 143 } : { _tag: "Interrupted" }
      return Deferred.succeed(job.stop, end).pipe(
        Effect.zipRight(untilEnded(folder)),
        Effect.as({ killed: told ? 0 : 1, left: 0 } as const)
      )
    })

  return {
    startJob,
    jobStatus,
    jobProcesses,
    livingJobs: Effect.sync(() =>
      [...jobs].flatMap(([folder, { status }]) => (status._tag === "Running" ? [folder] : []))
    ),
    followJob,
    stopJob,
    isClaimed: (folder: HostPath) => jobs.has(folder),
    /** Forgets the jobs that have ended below a folder: their files are gone. */
    forget: (isGone: (folder: HostPath) => boolean) => {
      for (const [folder, { status }] of jobs) {
        if (status._tag !== "Running" && isGone(folder)) jobs.delete(folder)
      }
    },
    running: () =>
      [...jobs.values()].flatMap(({ job, status }) =>
        job !== undefined && status._tag === "Running" ? [job] : []
      )
  }
}

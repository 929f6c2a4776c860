/** Jobs on this machine: a folder each, which the Job's wrapper writes to, and processes that carry the Job's cookie. */
import * as fs from "node:fs/promises"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { HostPath, join } from "../../domain/HostPath.js"
import { bootId, processesWith, processInfo, valuesOf } from "../../internal/Proc.js"
import * as Processes from "../../internal/Processes.js"
import type { TimingShape } from "../../settings/Timing.js"
import { cookie, HostError, type HostShape, type JobOutput, type JobStatus } from "../Host.js"
import { jobWrapper } from "../jobs/JobWrapper.js"
import { attempt, name, orUndefined, processError } from "./LocalErrors.js"

/** Bytes of a Job's output that are read at once. */
const chunkSize = 256 * 1024

const readText = (path: HostPath) => orUndefined(attempt(() => fs.readFile(path, "utf8")))

/** The identity of the command; undefined if this machine was rebooted since. */
const recordOf = (folder: HostPath) =>
  Effect.map(readText(join(folder, "identity")), (text) => {
    const [pid, startTime, group, boot] = (text ?? "").trim().split(" ")
    return boot === bootId()
      ? { pid: Number(pid), startTime: Number(startTime), group: Number(group) }
      : undefined
  })

/** The command's pid and process group, while it lives. */
const identityOf = (folder: HostPath) =>
  Effect.map(recordOf(folder), (record) => {
    const info = record && processInfo(record.pid)
    return info !== undefined && info.startTime === record?.startTime && !info.zombie ? record : undefined
  })

const census = (folder: HostPath) =>
  Effect.map(recordOf(folder), (record) => processesWith(cookie, folder, record?.group))

// A file that is empty lost its text as the machine went down.
const exitCode = (folder: HostPath) =>
  Effect.map(readText(join(folder, "exit")), (text) =>
    text !== undefined && /^\d+\n$/.test(text) ? Number(text) : undefined
  )

const jobStatus = (folder: HostPath): Effect.Effect<JobStatus, HostError> =>
  Effect.gen(function* () {
    const before = yield* exitCode(folder)
    if (before !== undefined) return { _tag: "Exited", exitCode: before }
    if ((yield* orUndefined(attempt(() => fs.stat(join(folder, "claim"))))) === undefined)
      return { _tag: "Absent" }
    if ((yield* census(folder)).length > 0) return { _tag: "Running" }
    // It may have ended between the two looks.
    const after = yield* exitCode(folder)
    return after === undefined ? { _tag: "Interrupted" } : { _tag: "Exited", exitCode: after }
  })

const readFrom = (folder: HostPath, from: number): Effect.Effect<JobOutput | undefined, HostError> =>
  Effect.map(
    orUndefined(
      Effect.scoped(
        Effect.gen(function* () {
          const file = yield* Effect.acquireRelease(
            attempt(() => fs.open(join(folder, "raw.log"))),
            (opened) => Effect.promise(() => opened.close())
          )
          const buffer = Buffer.alloc(chunkSize)
          const { bytesRead } = yield* attempt(() => file.read(buffer, 0, chunkSize, from))
          return buffer.subarray(0, bytesRead)
        })
      )
    ),
    (bytes) => (bytes === undefined || bytes.length === 0 ? undefined : { bytes, end: from + bytes.length })
  )

// One that nobody claimed may be about to begin; if nothing of it is there, it never will.
const mayPrint = (folder: HostPath) =>
  Effect.flatMap(jobStatus(folder), ({ _tag }) =>
    _tag === "Absent"
      ? Effect.map(census(folder), (living) => living.length > 0)
      : Effect.succeed(_tag === "Running")
  )

const killAll = (folder: HostPath): Effect.Effect<void, HostError> =>
  Effect.gen(function* () {
    const left = yield* census(folder)
    const groups = new Set(left.map((info) => info.group))
    yield* Effect.forEach(groups, (group) => Processes.signal(-group, "SIGKILL"), { discard: true })
    yield* Effect.forEach(left, (info) => Processes.signal(info.pid, "SIGKILL"), { discard: true })
  })

const allGone = (folder: HostPath) => Effect.map(census(folder), (left) => left.length === 0)
const leaderGone = (folder: HostPath) => Effect.map(identityOf(folder), (identity) => identity === undefined)

/** Its folder may yet have to be made. */
const claim = (folder: HostPath) => {
  const make = (path: HostPath) => attempt(() => fs.mkdir(path, { mode: 0o700 }))
  return Effect.catchIf(
    make(join(folder, "claim")),
    (error) => error.reason === "not-found",
    () => Effect.zipRight(make(folder), make(join(folder, "claim")))
  )
}

const startJob: HostShape["startJob"] = ({ args, cwd, env, folder, program }) =>
  Effect.asVoid(
    Effect.mapError(
      Processes.detach({
        program: "sh",
        args: ["-c", jobWrapper, "sandboxer-job", folder, cwd ?? folder, program, ...args],
        env: { ...env, [cookie]: folder }
      }),
      processError
    )
  )

/** `home` is the state directory. */
export const make = (
  home: HostPath,
  timing: TimingShape["jobs"]
): Pick<HostShape, "startJob" | "jobStatus" | "jobProcesses" | "livingJobs" | "followJob" | "stopJob"> => {
  const followJob = (folder: HostPath, from: number): Stream.Stream<JobOutput, HostError> =>
    Stream.paginateChunkEffect({ from, polls: 0, ended: false }, (at) =>
      Effect.gen(function* () {
        const output = yield* readFrom(folder, at.from)
        if (output !== undefined) {
          return [Chunk.of(output), Option.some({ ...at, from: output.end, polls: 0 })] as const
        }
        // What was printed before the end was seen has been read by now.
        if (at.ended) return [Chunk.empty<JobOutput>(), Option.none<typeof at>()] as const
        const looked = at.polls % timing.pollsPerSearch === timing.pollsPerSearch - 1
        const ended = (yield* exitCode(folder)) !== undefined || (looked && !(yield* mayPrint(folder)))
        if (!ended) yield* Effect.sleep(timing.localPoll)
        return [Chunk.empty<JobOutput>(), Option.some({ from: at.from, polls: at.polls + 1, ended })] as const
      })
    )

  // Not a timeout, which interrupts: the end of a provision, which stops Jobs, cannot be interrupted.
  const within = <E>(duration: Duration.Duration, gone: Effect.Effect<boolean, E>) =>
    Effect.repeat(gone, {
      until: (isGone) => isGone,
      schedule: Schedule.upTo(Schedule.spaced(timing.localPoll), duration)
    })

  const stopJob: HostShape["stopJob"] = (folder, { graceSeconds, stop }) =>
    Effect.gen(function* () {
      const grace = Duration.seconds(graceSeconds)
      // The claim is taken where nobody has it: one that is about to start finds it and does not.
      yield* Effect.catchIf(
        claim(folder),
        (error) => error.reason === "exists" || error.reason === "not-found",
        () => Effect.void
      )
      // One that has just begun will have an identity to be told by in a moment.
      const known = Effect.map(identityOf(folder), (identity) => identity !== undefined)
      if (graceSeconds > 0)
        yield* within(
          timing.startGrace,
          Effect.zipWith(known, allGone(folder), (a, b) => a || b)
        )
      const identity = yield* identityOf(folder)
      if (identity !== undefined && graceSeconds > 0) {
        // To signal a whole group means also the processes that left it for groups of their own.
        const groups = stop === "leader" ? [] : (yield* census(folder)).map(({ group }) => -group)
        const told = new Set(stop === "leader" ? [identity.pid] : [-identity.group, ...groups])
        yield* Effect.forEach(told, (pid) => Processes.signal(pid, "SIGTERM"), { discard: true })
        if (stop === "leader") yield* within(grace, leaderGone(folder))
        // The leader's children got no signal: waiting for them would use up the grace period for nothing.
        yield* within(stop === "leader" ? timing.wrapperGrace : grace, allGone(folder))
      }
      const killed = (yield* census(folder)).length
      yield* within(timing.killWait, Effect.zipRight(killAll(folder), allGone(folder)))
      const left = (yield* census(folder)).length
      return left === 0
        ? ({ killed, left } as const)
        : yield* new HostError({
            reason: "processes-left",
            host: name,
            message: `${left} processes of ${folder} are left, although they were killed`,
            hint: "processes that wait for a disk or a device end when it answers"
          })
    })

  return {
    startJob,
    jobStatus,
    jobProcesses: (folder) =>
      Effect.map(census(folder), (living) => living.map(({ name: of, pid }) => ({ pid, name: of }))),
    livingJobs: Effect.sync(() =>
      valuesOf(cookie)
        .filter((folder) => folder.startsWith(`${home}/`))
        .map(HostPath)
    ),
    followJob,
    stopJob
  }
}

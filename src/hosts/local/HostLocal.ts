/** The machine that this program runs on. */
import { createHash } from "node:crypto"
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import { hostname, userInfo } from "node:os"
import { dirname } from "node:path"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { HostPath, join } from "../../domain/HostPath.js"
import { bootId, processesWith, processInfo, valuesOf } from "../../internal/Proc.js"
import * as Processes from "../../internal/Processes.js"
import {
  type Command,
  cookie,
  HostError,
  type HostShape,
  type JobOutput,
  type JobStatus,
  neverLost
} from "../Host.js"
import * as Rsync from "../internal/Rsync.js"
import * as Fence from "../jobs/Fence.js"
import { jobWrapper } from "../jobs/JobWrapper.js"

const name = "local"
const poll = Duration.millis(50)
const chunkSize = 256 * 1024
// A job that left no exit code is looked for among the processes: that costs more than a look at a file.
const pollsPerCensus = 20
/** Seconds for the wrapper to write down who its command is. */
const toBegin = 1
/** Seconds for the wrapper to write down how its command ended, and to go. */
const afterLeader = 1
/** Seconds for processes that were killed to go. */
const longestKill = 10

const reasons: Record<string, HostError["reason"]> = {
  ENOENT: "not-found",
  ENOTDIR: "not-found",
  EEXIST: "exists",
  ERR_FS_CP_EEXIST: "exists",
  EACCES: "not-permitted",
  EPERM: "not-permitted",
  EROFS: "not-permitted",
  ENOSPC: "disk-full",
  EDQUOT: "disk-full"
}
const hints: Partial<Record<HostError["reason"], string>> = {
  "not-permitted": "check who owns the path and its permissions",
  "disk-full": "free some space there"
}

const hostError = (cause: NodeJS.ErrnoException) => {
  const reason = reasons[cause.code ?? ""] ?? "other"
  return new HostError({
    reason,
    host: name,
    message: cause.message,
    hint: hints[reason] ?? "check the path"
  })
}

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, HostError> =>
  Effect.tryPromise({ try: run, catch: (cause) => hostError(cause as NodeJS.ErrnoException) })

const orUndefined = <A>(effect: Effect.Effect<A, HostError>): Effect.Effect<A | undefined, HostError> =>
  Effect.catchIf(
    effect,
    (error) => error.reason === "not-found",
    () => Effect.as(Effect.void, undefined)
  )

const processReasons: Record<Processes.ProcessError["reason"], HostError["reason"]> = {
  "not-found": "program-missing",
  "not-permitted": "not-permitted",
  timeout: "no-answer",
  other: "other"
}

const processError = (error: Processes.ProcessError) =>
  new HostError({
    reason: processReasons[error.reason],
    host: name,
    message: error.message,
    hint:
      error.reason === "not-found"
        ? `install ${error.program}, or put it on the PATH`
        : (hints[processReasons[error.reason]] ?? "run the program by hand and see what it says")
  })

const readText = (path: HostPath) => orUndefined(attempt(() => fs.readFile(path, "utf8")))

/** Who the command was, where this machine was not started anew since. */
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

const followJob = (folder: HostPath, from: number): Stream.Stream<JobOutput, HostError> =>
  Stream.paginateChunkEffect({ from, polls: 0, ended: false }, (at) =>
    Effect.gen(function* () {
      const output = yield* readFrom(folder, at.from)
      if (output !== undefined) {
        return [Chunk.of(output), Option.some({ ...at, from: output.end, polls: 0 })] as const
      }
      // What was printed before the end was seen has been read by now.
      if (at.ended) return [Chunk.empty<JobOutput>(), Option.none<typeof at>()] as const
      const looked = at.polls % pollsPerCensus === pollsPerCensus - 1
      const ended = (yield* exitCode(folder)) !== undefined || (looked && !(yield* mayPrint(folder)))
      if (!ended) yield* Effect.sleep(poll)
      return [Chunk.empty<JobOutput>(), Option.some({ from: at.from, polls: at.polls + 1, ended })] as const
    })
  )

const killAll = (folder: HostPath): Effect.Effect<void, HostError> =>
  Effect.gen(function* () {
    const left = yield* census(folder)
    const groups = new Set(left.map((info) => info.group))
    yield* Effect.forEach(groups, (group) => Processes.signal(-group, "SIGKILL"), { discard: true })
    yield* Effect.forEach(left, (info) => Processes.signal(info.pid, "SIGKILL"), { discard: true })
  })

// No timeout: whoever stops jobs at the end of a provision cannot be interrupted, and a timeout interrupts.
const within = <E>(seconds: number, gone: Effect.Effect<boolean, E>) =>
  Effect.repeat(gone, {
    until: (isGone) => isGone,
    schedule: Schedule.upTo(Schedule.spaced(poll), Duration.seconds(seconds))
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

const stopJob: HostShape["stopJob"] = (folder, { graceSeconds, stop }) =>
  Effect.gen(function* () {
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
        toBegin,
        Effect.zipWith(known, allGone(folder), (a, b) => a || b)
      )
    const identity = yield* identityOf(folder)
    if (identity !== undefined && graceSeconds > 0) {
      // Of a group that is told, also whoever left it for one of its own.
      const groups = stop === "leader" ? [] : (yield* census(folder)).map(({ group }) => -group)
      const told = new Set(stop === "leader" ? [identity.pid] : [-identity.group, ...groups])
      yield* Effect.forEach(told, (pid) => Processes.signal(pid, "SIGTERM"), { discard: true })
      if (stop === "leader") yield* within(graceSeconds, leaderGone(folder))
      // What a leader leaves behind was not told to end: it would use up the grace for nothing.
      yield* within(stop === "leader" ? afterLeader : graceSeconds, allGone(folder))
    }
    const killed = (yield* census(folder)).length
    yield* within(longestKill, Effect.zipRight(killAll(folder), allGone(folder)))
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

// What a link leads to is copied, but links within a folder stay links.
const copy = (from: string, to: string): Effect.Effect<void, HostError> =>
  Effect.flatMap(orUndefined(attempt(() => fs.lstat(to))), (there) =>
    there === undefined
      ? attempt(async () =>
          fs.cp(await fs.realpath(from), to, {
            recursive: true,
            errorOnExist: true,
            force: false,
            preserveTimestamps: true,
            verbatimSymlinks: true,
            mode: constants.COPYFILE_FICLONE
          })
        )
      : // A folder would be filled.
        new HostError({ reason: "exists", host: name, message: `${to} exists`, hint: "check the path" })
  )

const realPath = (path: HostPath) =>
  Effect.map(
    attempt(() => fs.realpath(path)),
    HostPath
  )

const sha256: HostShape["sha256"] = (path) =>
  attempt(async () => {
    const hash = createHash("sha256")
    const file = await fs.open(path)
    for await (const chunk of file.createReadStream({ highWaterMark: 1024 * 1024 }))
      hash.update(chunk as Buffer)
    return hash.digest("hex")
  })

const processCommand = ({ args, cwd, env, program }: Command): Processes.ProcessCommand => ({
  program,
  args,
  ...(cwd === undefined ? {} : { cwd }),
  ...(env === undefined ? {} : { env })
})

const run: HostShape["run"] = (command, { fence, ...options } = {}) => {
  const given = processCommand(fence === undefined ? command : Fence.behind(fence, command))
  return Effect.filterOrFail(
    Effect.mapError(Processes.run(given, options), processError),
    ({ stderr }) => fence === undefined || !Fence.wasRefused(stderr),
    () => Fence.takenDown(name)
  )
}

const rsync = (args: ReadonlyArray<string>, fence: HostPath | undefined) =>
  Effect.flatMap(
    run({ program: "rsync", args }, fence === undefined ? {} : { fence }),
    ({ exitCode, stderr, stdout }) => {
      if (exitCode === 0) return Effect.succeed(stdout)
      // Behind a fence it is a shell that does not find it.
      return exitCode === 127
        ? processError(
            new Processes.ProcessError({
              reason: "not-found",
              program: "rsync",
              message: "rsync is not on the PATH"
            })
          )
        : new HostError({
            reason: "other",
            host: name,
            message: `rsync ended with exit code ${exitCode}: ${stderr.trim().split("\n")[0]}`,
            hint: "check the paths, their permissions, and the space there"
          })
    }
  )

/**
 * The host that this machine is, its state directory being `home`.
 * @category constructors
 */
export const make = (home: HostPath): HostShape => ({
  name,
  home,
  programs: { jobs: [], files: [] },
  becomes: neverLost,
  prepare: Effect.void,
  run,
  startJob: ({ args, cwd, env, folder, program }) =>
    Effect.asVoid(
      Effect.mapError(
        Processes.detach({
          program: "sh",
          args: ["-c", jobWrapper, "sandboxer-job", folder, cwd ?? folder, program, ...args],
          env: { ...env, [cookie]: folder }
        }),
        processError
      )
    ),
  jobStatus,
  jobProcesses: (folder) =>
    Effect.map(census(folder), (living) => living.map(({ name: of, pid }) => ({ pid, name: of }))),
  livingJobs: Effect.sync(() =>
    valuesOf(cookie)
      .filter((folder) => folder.startsWith(`${home}/`))
      .map(HostPath)
  ),
  followJob,
  stopJob,
  stage: (local) => Effect.succeed(HostPath(local)),
  put: copy,
  get: (path, local) =>
    Effect.gen(function* () {
      const file = yield* realPath(path)
      const own = yield* Effect.orElseSucceed(realPath(home), () => home)
      if (!file.startsWith(`${own}/`)) return yield* copy(file, local)
      // What lies in our own folder nobody else writes to: one more name for it will do.
      yield* Effect.catchIf(
        attempt(() => fs.link(file, local)),
        (error) => error.reason === "other" || error.reason === "not-permitted",
        () => copy(file, local)
      )
    }),
  write: (path, content) =>
    attempt(async () => {
      const beside = `${path}.new`
      await fs.writeFile(beside, content, { mode: 0o600 })
      await fs.rename(beside, path)
    }),
  makeFolder: (path) => Effect.asVoid(attempt(() => fs.mkdir(path, { recursive: true, mode: 0o700 }))),
  makeSubfolder: (path) =>
    Effect.catchIf(
      attempt(() => fs.mkdir(path, { mode: 0o700 })),
      ({ reason }) => reason === "exists",
      () => Effect.void
    ),
  list: (path) =>
    Effect.map(
      attempt(() => fs.readdir(path)),
      (names) => names.sort()
    ),
  info: (path) =>
    Effect.map(orUndefined(attempt(() => fs.stat(path))), (stat) =>
      stat === undefined
        ? undefined
        : { type: stat.isFile() ? "file" : stat.isDirectory() ? "folder" : "other", sizeBytes: stat.size }
    ),
  realPath,
  sha256,
  remove: (path) => attempt(() => fs.rm(path, { recursive: true, force: true })),
  removeWithFolder: (path) =>
    attempt(async () => {
      await fs.rm(path, { recursive: true, force: true })
      try {
        await fs.rmdir(dirname(path))
      } catch (error) {
        if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? ""))
          throw error
      }
    }),
  freeBytes: (path) =>
    Effect.map(
      attempt(() => fs.statfs(path)),
      (stat) => stat.bavail * stat.bsize
    ),
  sync: (local, folder, options) =>
    Effect.map(rsync(Rsync.syncArguments(local, `${folder}/`, options), options.fence), Rsync.parseChanges),
  fetch: (folder, names, local) =>
    Effect.forEach(
      names,
      (one) => {
        const to = `${local}/${one}`
        return Effect.zipRight(
          attempt(() => fs.mkdir(dirname(to), { recursive: true })),
          copy(join(folder, one), to)
        )
      },
      { discard: true }
    ),
  interact: (command) => Effect.mapError(Processes.interact(processCommand(command)), processError),
  identity: Effect.sync(() => ({
    host: hostname(),
    port: 0,
    user: userInfo().username,
    keyFingerprint: null
  }))
})

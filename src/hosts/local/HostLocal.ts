/** The machine that this program runs on. */
import { createHash } from "node:crypto"
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import { hostname, userInfo } from "node:os"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import { errorKind } from "../../domain/ErrorKind.js"
import { HostPath, join } from "../../domain/HostPath.js"
import * as Processes from "../../internal/Processes.js"
import type { TimingShape } from "../../settings/Timing.js"
import { type Command, HostError, type HostShape, neverLost } from "../Host.js"
import * as Rsync from "../internal/Rsync.js"
import * as Fence from "../jobs/Fence.js"
import { attempt, name, orUndefined, processError } from "./LocalErrors.js"
import * as LocalJobs from "./LocalJobs.js"

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

/**
 * The host that this machine is, its state directory being `home`.
 * @category constructors
 */
export const make = (home: HostPath, timing: TimingShape): HostShape => {
  const run: HostShape["run"] = (command, { fence, ...options } = {}) => {
    const given = processCommand(fence === undefined ? command : Fence.behind(fence, command))
    return Effect.filterOrFail(
      Effect.mapError(Processes.run(given, timing.process, options), processError),
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

  return {
    name,
    home,
    programs: { jobs: [], files: [] },
    becomes: neverLost,
    prepare: Effect.void,
    run,
    ...LocalJobs.make(home, timing.jobs),
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
          if (!["not-found", "not-empty", "exists"].includes(errorKind(error))) throw error
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
  }
}

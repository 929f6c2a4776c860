/**
 * A host whose files are in memory and whose programs are functions: no path of it means anything on this machine,
 * so that what takes one for the other fails.
 */
import { createHash } from "node:crypto"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { basename, dirname, HostPath, join } from "../../domain/HostPath.js"
import { type Command, HostError, type HostShape, Hosts, type Job, neverLost } from "../Host.js"
import * as Fence from "../jobs/Fence.js"
import * as MemoryJobs from "./MemoryJobs.js"

/** What a program has of its host: it prints, and it does with files what the host can do with them. */
export interface MemoryProcess {
  readonly print: (text: string) => Effect.Effect<void>
  readonly host: HostShape
}

/**
 * Any program: it gives its exit code. One that is told to end is interrupted; where it fails, that is exit code 1,
 * and printed by a job.
 */
export type Program = (command: Command, process: MemoryProcess) => Effect.Effect<number, HostError>

export interface MemoryHostOptions {
  readonly name?: string
  /** What is run for any command; by default one that ends well and says nothing. */
  readonly program?: Program
  readonly freeBytes?: number
  readonly becomes?: (connected: boolean) => Effect.Effect<void>
}

/** `mode` is 0600 for what `write` wrote. */
export interface MemoryFile {
  readonly bytes: Uint8Array
  readonly mode: number
}

export interface MemoryHost extends HostShape {
  readonly files: ReadonlyMap<HostPath, MemoryFile>
  /** What was run, in order; a job is there once. */
  readonly commands: ReadonlyArray<Command>
  /** The jobs that run now. */
  readonly running: Effect.Effect<ReadonlyArray<Job>>
}

/**
 * A host of its own, all of it below `/elsewhere`; its jobs end with the scope.
 * @category constructors
 */
export const make = (
  options: MemoryHostOptions = {}
): Effect.Effect<MemoryHost, never, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const scope = yield* Effect.scope
    const name = options.name ?? "elsewhere"
    const home = HostPath("/elsewhere/home")
    const program: Program = options.program ?? (() => Effect.succeed(0))
    const files = new Map<HostPath, MemoryFile>()
    const folders = new Set<HostPath>()
    const commands: Array<Command> = []

    const hostError = (reason: HostError["reason"], message: string) =>
      new HostError({ reason, host: name, message, hint: "check the path" })
    const missing = (at: HostPath) => hostError("not-found", `${name} has no ${at}`)
    const fromLocal = (error: PlatformError.PlatformError) =>
      hostError(
        error._tag !== "SystemError"
          ? "other"
          : error.reason === "NotFound"
            ? "not-found"
            : error.reason === "AlreadyExists"
              ? "exists"
              : "other",
        error.message
      )

    const isFolder = (at: HostPath) => at === "/" || folders.has(at)
    const makeFolder = (at: HostPath): void => {
      for (let folder = at; folder !== "/"; folder = dirname(folder)) folders.add(folder)
    }
    makeFolder(home)
    const fileAt = (at: HostPath) =>
      Effect.suspend(() => {
        const file = files.get(at)
        return file === undefined ? Effect.fail(missing(at)) : Effect.succeed(file)
      })
    const writeFile = (at: HostPath, bytes: Uint8Array, mode: number) =>
      Effect.suspend(() => {
        if (!isFolder(dirname(at))) return Effect.fail(missing(dirname(at)))
        files.set(at, { bytes, mode })
        return Effect.void
      })

    const load = (
      local: string,
      at: HostPath
    ): Effect.Effect<void, HostError | PlatformError.PlatformError> =>
      Effect.gen(function* () {
        const { type } = yield* fs.stat(local)
        if (type !== "Directory") return yield* writeFile(at, yield* fs.readFile(local), 0o644)
        makeFolder(at)
        for (const inner of yield* fs.readDirectory(local)) {
          yield* load(path.join(local, inner), join(at, inner))
        }
      })
    const put = (local: string, at: HostPath) =>
      Effect.mapError(load(local, at), (error) => (error._tag === "HostError" ? error : fromLocal(error)))

    const localFiles = (
      folder: string,
      below = ""
    ): Effect.Effect<ReadonlyMap<string, Uint8Array>, PlatformError.PlatformError> =>
      Effect.map(
        Effect.flatMap(fs.readDirectory(path.join(folder, below)), (names) =>
          Effect.forEach(names, (one) => {
            const inner = below === "" ? one : `${below}/${one}`
            return Effect.flatMap(fs.stat(path.join(folder, inner)), ({ type }) =>
              type === "Directory"
                ? localFiles(folder, inner)
                : Effect.map(
                    fs.readFile(path.join(folder, inner)),
                    (bytes): ReadonlyMap<string, Uint8Array> => new Map([[inner, bytes]])
                  )
            )
          })
        ),
        (all) => new Map(all.flatMap((entries) => [...entries]))
      )

    const execute = (command: Command, print: MemoryProcess["print"]) =>
      Effect.suspend(() => {
        if (command.cwd !== undefined && !isFolder(command.cwd)) return Effect.fail(missing(command.cwd))
        commands.push(command)
        return program(command, { print, host })
      })
    const { forget, isClaimed, running, ...jobs } = MemoryJobs.make({
      scope,
      isFolder,
      makeFolder,
      missing,
      run: execute
    })
    const behind = (fence: HostPath | undefined) =>
      Effect.suspend(() =>
        fence === undefined || (isFolder(dirname(fence)) && !isClaimed(fence))
          ? Effect.void
          : Effect.fail(Fence.takenDown(name))
      )

    const remove = (at: HostPath) => {
      const isGone = (other: HostPath) => other === at || other.startsWith(`${at}/`)
      for (const kept of [files, folders]) {
        for (const other of [...kept.keys()].filter(isGone)) kept.delete(other)
      }
      forget(isGone)
    }

    const host: HostShape = {
      ...jobs,
      name,
      home,
      programs: { jobs: ["setsid"], files: ["rsync"] },
      becomes: options.becomes ?? neverLost,
      prepare: Effect.void,
      run: (command, { fence, timeoutSeconds = Number.POSITIVE_INFINITY } = {}) =>
        Effect.flatMap(behind(fence), () => {
          let stdout = ""
          const print = (text: string) =>
            Effect.sync(() => {
              stdout += text
            })
          return Effect.map(execute(command, print), (exitCode) => ({ exitCode, stdout, stderr: "" }))
        }).pipe(
          Effect.timeoutFail({
            duration: Duration.seconds(timeoutSeconds),
            onTimeout: () =>
              hostError("no-answer", `${command.program} did not end within ${timeoutSeconds} s`)
          })
        ),
      stage: (local, fence) =>
        Effect.gen(function* () {
          yield* behind(fence === undefined ? undefined : yield* fence)
          const placed = join(home, `placed${path.resolve(local)}`)
          makeFolder(dirname(placed))
          yield* put(local, placed)
          return placed
        }),
      put: (local, at) =>
        Effect.suspend(() =>
          files.has(at) || isFolder(at)
            ? Effect.fail(hostError("exists", `${name} has ${at} already`))
            : put(local, at)
        ),
      get: (at, local) =>
        Effect.flatMap(fileAt(at), ({ bytes }) =>
          Effect.mapError(fs.writeFile(local, bytes, { flag: "wx" }), fromLocal)
        ),
      write: (at, content) => writeFile(at, new TextEncoder().encode(content), 0o600),
      makeFolder: (at) => Effect.sync(() => makeFolder(at)),
      makeSubfolder: (at) =>
        Effect.suspend(() => {
          if (!isFolder(dirname(at))) return Effect.fail(missing(dirname(at)))
          makeFolder(at)
          return Effect.void
        }),
      list: (at) =>
        Effect.suspend(() =>
          isFolder(at)
            ? Effect.succeed(
                [...files.keys(), ...folders]
                  .filter((other) => dirname(other) === at)
                  .map(basename)
                  .sort()
              )
            : Effect.fail(missing(at))
        ),
      info: (at) =>
        Effect.sync(() => {
          const file = files.get(at)
          if (file !== undefined) return { type: "file", sizeBytes: file.bytes.length } as const
          return isFolder(at) ? ({ type: "folder", sizeBytes: 0 } as const) : undefined
        }),
      realPath: (at) =>
        Effect.suspend(() => (files.has(at) || isFolder(at) ? Effect.succeed(at) : Effect.fail(missing(at)))),
      sha256: (at) => Effect.map(fileAt(at), ({ bytes }) => createHash("sha256").update(bytes).digest("hex")),
      remove: (at) => Effect.sync(() => remove(at)),
      removeWithFolder: (at) =>
        Effect.sync(() => {
          remove(at)
          const folder = dirname(at)
          if (![...files.keys(), ...folders].some((other) => dirname(other) === folder))
            folders.delete(folder)
        }),
      freeBytes: () => Effect.succeed(options.freeBytes ?? 2 ** 40),
      sync: (local, folder, { dryRun, fence }) =>
        Effect.gen(function* () {
          yield* behind(fence)
          const wanted = yield* Effect.mapError(localFiles(local), fromLocal)
          const own = [...files.keys()].filter((at) => at.startsWith(`${folder}/`))
          const gone = own.filter((at) => !wanted.has(at.slice(folder.length + 1)))
          const sent = [...wanted].filter(
            ([name, bytes]) => !Buffer.from(files.get(join(folder, name))?.bytes ?? []).equals(bytes)
          )
          if (!dryRun) {
            makeFolder(folder)
            for (const at of gone) files.delete(at)
            for (const [name, bytes] of sent) {
              makeFolder(dirname(join(folder, name)))
              files.set(join(folder, name), { bytes, mode: 0o644 })
            }
          }
          return [
            ...gone.map((at) => ({ kind: "deleted" as const, path: at.slice(folder.length + 1) })),
            ...sent.map(([name]) => ({ kind: "sent" as const, path: name }))
          ]
        }),
      fetch: (folder, names, local) =>
        Effect.forEach(
          names,
          (one) =>
            Effect.flatMap(fileAt(join(folder, one)), ({ bytes }) => {
              const to = path.join(local, one)
              return fs
                .makeDirectory(path.dirname(to), { recursive: true })
                .pipe(Effect.zipRight(fs.writeFile(to, bytes, { flag: "wx" })), Effect.mapError(fromLocal))
            }),
          { discard: true }
        ),
      interact: (command) => execute(command, () => Effect.void),
      identity: Effect.succeed({
        host: name,
        port: 22,
        user: "somebody",
        keyFingerprint: `SHA256:${name}`
      })
    }
    return { ...host, files, commands, running: Effect.sync(running) }
  })

/** The text of a file that the host has. */
export const textOf = ({ files }: MemoryHost, path: HostPath): string | undefined => {
  const file = files.get(path)
  return file === undefined ? undefined : new TextDecoder().decode(file.bytes)
}

/**
 * One host, whatever the placement says.
 * @category layers
 */
export const layer = (host: HostShape): Layer.Layer<Hosts> =>
  Layer.succeed(Hosts, { get: () => Effect.succeed(host) })

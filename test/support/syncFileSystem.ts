/**
 * This machine's files, each call done at once: whoever passes time on a `TestClock` while a fiber waits for its disk makes
 * time run by how busy the machine is. What is not here goes the usual way.
 */
import * as fs from "node:fs"
import { type PlatformError, SystemError, type SystemErrorReason } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

const reasons: Readonly<Record<string, SystemErrorReason>> = {
  ENOENT: "NotFound",
  EEXIST: "AlreadyExists",
  EACCES: "PermissionDenied",
  EISDIR: "BadResource",
  ENOTDIR: "BadResource"
}

const attempt = <A>(method: string, path: string, run: () => A): Effect.Effect<A, PlatformError> =>
  Effect.try({
    try: run,
    catch: (cause) =>
      new SystemError({
        module: "FileSystem",
        method,
        pathOrDescriptor: path,
        reason: reasons[(cause as NodeJS.ErrnoException).code ?? ""] ?? "Unknown",
        description: (cause as Error).message,
        cause
      })
  })

const infoOf = (stat: fs.Stats): FileSystem.File.Info => ({
  type: stat.isDirectory() ? "Directory" : stat.isFile() ? "File" : "Unknown",
  mtime: Option.some(stat.mtime),
  atime: Option.some(stat.atime),
  birthtime: Option.some(stat.birthtime),
  dev: stat.dev,
  ino: Option.some(stat.ino),
  mode: stat.mode,
  nlink: Option.some(stat.nlink),
  uid: Option.some(stat.uid),
  gid: Option.some(stat.gid),
  rdev: Option.some(stat.rdev),
  size: FileSystem.Size(stat.size),
  blksize: Option.none(),
  blocks: Option.none()
})

/** @category layers */
export const layer = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (usual): FileSystem.FileSystem => {
    const readFile: FileSystem.FileSystem["readFile"] = (path) =>
      attempt("readFile", path, () => new Uint8Array(fs.readFileSync(path)))
    const writeFile: FileSystem.FileSystem["writeFile"] = (path, data, { flag, mode } = {}) =>
      attempt("writeFile", path, () =>
        fs.writeFileSync(path, data, { flag: flag ?? "w", mode: mode ?? 0o666 })
      )
    return {
      ...usual,
      chmod: (path, mode) => attempt("chmod", path, () => fs.chmodSync(path, mode)),
      exists: (path) => Effect.sync(() => fs.existsSync(path)),
      link: (from, to) => attempt("link", from, () => fs.linkSync(from, to)),
      makeDirectory: (path, { mode, recursive } = {}) =>
        attempt("makeDirectory", path, () => {
          fs.mkdirSync(path, { recursive: recursive ?? false, ...(mode === undefined ? {} : { mode }) })
        }),
      // It is only ever written to from its beginning on.
      open: (path, { flag, mode } = {}) =>
        Effect.map(
          Effect.acquireRelease(
            attempt("open", path, () => fs.openSync(path, flag ?? "r", mode ?? 0o666)),
            (file) => Effect.sync(() => fs.closeSync(file))
          ),
          (file) =>
            ({
              writeAll: (bytes: Uint8Array) => attempt("writeAll", path, () => void fs.writeSync(file, bytes))
            }) as FileSystem.File
        ),
      readDirectory: (path, { recursive } = {}) =>
        attempt("readDirectory", path, () =>
          fs.readdirSync(path, { recursive: recursive ?? false, encoding: "utf8" })
        ),
      readFile,
      readFileString: (path) => Effect.map(readFile(path), (bytes) => new TextDecoder().decode(bytes)),
      realPath: (path) => attempt("realPath", path, () => fs.realpathSync(path)),
      remove: (path, { force, recursive } = {}) =>
        attempt("remove", path, () =>
          fs.rmSync(path, { force: force ?? false, recursive: recursive ?? false })
        ),
      rename: (from, to) => attempt("rename", from, () => fs.renameSync(from, to)),
      stat: (path) => attempt("stat", path, () => infoOf(fs.statSync(path))),
      stream: (path) => Stream.fromEffect(readFile(path)),
      writeFile,
      writeFileString: (path, text, options) => writeFile(path, new TextEncoder().encode(text), options)
    }
  })
).pipe(Layer.provide(NodeFileSystem.layer))

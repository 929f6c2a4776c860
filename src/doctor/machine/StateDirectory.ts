/** Checks that the state directory exists and is private, or can be created. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { type Check, missing, ok, warning } from "../../domain/Check.js"

const name = "state-directory"
const elsewhere = "or set SANDBOXER_HOME to a folder of yours"

/** The path, or the nearest folder above it that exists. */
const existing: (
  path: string
) => Effect.Effect<{ readonly path: string; readonly info: FileSystem.File.Info }, never, Services> =
  Effect.fn(function* (path) {
    const fs = yield* FileSystem.FileSystem
    const { dirname } = yield* Path.Path
    const info = yield* Effect.option(fs.stat(path))
    return info._tag === "Some" ? { path, info: info.value } : yield* existing(dirname(path))
  })

type Services = FileSystem.FileSystem | Path.Path

export const stateDirectory = (home: string): Effect.Effect<Check, never, Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { info, path } = yield* existing(home)
    if (info.type !== "Directory") {
      return missing(name, `${path} is not a folder`, `move it out of the way, ${elsewhere}`)
    }
    if ((yield* Effect.option(fs.access(path, { readable: true, writable: true })))._tag === "None") {
      return missing(name, `${path} may not be read and written`, `change its owner or mode, ${elsewhere}`)
    }
    if (path !== home) return ok(name, `${home} (created when it is needed)`)
    return (info.mode & 0o077) === 0
      ? ok(name, home)
      : warning(name, `others can read ${home}`, `\`chmod 700 '${home}'\``)
  })

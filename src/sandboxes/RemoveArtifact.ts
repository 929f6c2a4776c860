import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type { Artifact } from "../domain/Artifact.js"
import type { SandboxId } from "../domain/Sandbox.js"
import { StoreError } from "../store/SandboxStore.js"

/** Removes an artifact's file, its checksum, and their folder if it is the sandbox's and empty. */
export const removeArtifact = (id: SandboxId, { path: file }: Artifact) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* fs.remove(file, { force: true })
    yield* fs.remove(`${file}.sha256`, { force: true })
    const folder = path.dirname(file)
    const empty = Effect.map(fs.readDirectory(folder), (names) => names.length === 0)
    // A folder that is not named after the sandbox's id is the user's.
    if (path.basename(folder) === id && (yield* Effect.orElseSucceed(empty, () => false))) {
      yield* fs.remove(folder, { recursive: true })
    }
  }).pipe(
    Effect.mapError(
      (error) =>
        new StoreError({ reason: "not-writable", message: error.message, hint: `remove ${file} by hand` })
    )
  )

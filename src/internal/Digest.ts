/** Digests of local files. */
import { createHash } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

const chunkSize = 1024 * 1024

/** The SHA-256 of a file in hexadecimal, read in pieces of 1 MiB. */
export const sha256 = Effect.fn(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const hash = createHash("sha256")
  yield* Stream.runForEach(fs.stream(file, { chunkSize }), (chunk) => Effect.sync(() => hash.update(chunk)))
  return hash.digest("hex")
})

/** Reading the redacted log of a sandbox. */
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { NotFound } from "../domain/Errors.js"
import { hasEnded, type SandboxId } from "../domain/Sandbox.js"
import { get } from "./Find.js"
import { makePause } from "./Follow.js"

/** Options of `log`. */
export interface LogOptions {
  /** Continues until the provision has ended, and restarts a supervisor that has died meanwhile. */
  readonly follow?: boolean
  /** Begins with this number of last lines; by default with the first line. */
  readonly tail?: number
}

/** In bytes. */
const blockSize = 64 * 1024

/** Reads a block from an offset on; an empty one at the end of the file. */
const readBlock = (file: FileSystem.File, offset: number, size = blockSize) =>
  Effect.zipRight(file.seek(offset, "start"), file.readAlloc(size)).pipe(
    Effect.map(Option.getOrElse(() => new Uint8Array()))
  )

/** The offset at which the last `lines` lines begin. */
const tailOffset = (file: FileSystem.File, lines: number) =>
  Effect.gen(function* () {
    const size = Number((yield* file.stat).size)
    if (lines <= 0) return size
    let left = lines
    // Without the last byte: it is the newline that ends the last line.
    for (let end = size - 1; end > 0; ) {
      const start = Math.max(0, end - blockSize)
      const block = yield* readBlock(file, start, end - start)
      for (let at = block.length - 1; at >= 0; at--) {
        if (block[at] === 0x0a && --left === 0) return start + at + 1
      }
      end = start
    }
    return 0
  })

/** See `SandboxesShape.log`. */
export const log = (id: SandboxId, { follow = false, tail }: LogOptions = {}) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const pause = yield* makePause(id)
      const reading = <A>(
        path: string,
        use: (file: FileSystem.File) => Effect.Effect<A, PlatformError.PlatformError>
      ) => Effect.option(Effect.scoped(Effect.flatMap(fs.open(path), use)))

      const { logPath: first } = yield* get(id)
      const begin =
        tail === undefined || first === null
          ? Option.none()
          : yield* reading(first, (file) => tailOffset(file, tail))
      return Stream.paginateChunkEffect(
        Option.getOrElse(begin, () => 0),
        (offset) =>
          Effect.gen(function* () {
            // Read before the log: once the provision has ended, all of the log is there. A supervisor that takes over
            // continues in another file, which begins with the same bytes.
            const { logPath, name, state } = yield* get(id)
            const continues = follow && !hasEnded(state)
            const read =
              logPath === null
                ? Option.some(new Uint8Array())
                : yield* reading(logPath, (file) => readBlock(file, offset))
            if (Option.isNone(read) && !continues) {
              return yield* new NotFound({
                reason: "log",
                message: `the log of ${name} is gone`,
                hint: `it was at ${logPath}`
              })
            }
            const block = Option.getOrElse(read, () => new Uint8Array())
            if (block.length > 0) return [Chunk.of(block), Option.some(offset + block.length)] as const
            if (continues) yield* pause
            return [
              Chunk.empty<Uint8Array>(),
              continues ? Option.some(offset) : Option.none<number>()
            ] as const
          })
      )
    })
  )

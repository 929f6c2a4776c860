/** Jobs: commands that outlive their starter. Their output as lines, and how they ended. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ProvisionError } from "../../domain/Failure.js"
import type { HostPath } from "../../domain/HostPath.js"
import { Timing } from "../../settings/Timing.js"
import type { HostError, HostShape, JobOutput, StopSignal } from "../Host.js"

/** A job of a provision: its folder on the host exists. */
export interface JobRef {
  readonly key: string
  readonly folder: HostPath
}

/**
 * A line of a job's output, or a piece of one that is too long: then `complete` is false for all but the last
 * piece. `end` is the offset after it.
 */
export interface JobLine {
  readonly text: string
  readonly end: number
  readonly complete: boolean
}

const newline = 0x0a
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

// The length without a UTF-8 character that the end cuts in two.
const wholeCharacters = (bytes: Uint8Array): number => {
  let at = bytes.length
  while (at > bytes.length - 4 && at > 0 && ((bytes[at - 1] ?? 0) & 0xc0) === 0x80) at--
  return at > 0 && (bytes[at - 1] ?? 0) >= 0xc0 ? at - 1 : bytes.length
}

const splitLines = (
  rest: Uint8Array,
  restStart: number,
  longestLine: number
): readonly [Array<JobLine>, Uint8Array, number] => {
  const lines: Array<JobLine> = []
  let from = 0
  while (from < rest.length) {
    const next = rest.indexOf(newline, from)
    if (next !== -1 && next - from <= longestLine) {
      lines.push({
        text: decoder.decode(rest.subarray(from, next)),
        end: restStart + next + 1,
        complete: true
      })
      from = next + 1
    } else if (next !== -1 || rest.length - from > longestLine) {
      const longest = rest.subarray(from, from + longestLine)
      const length = wholeCharacters(longest)
      lines.push({
        text: decoder.decode(rest.subarray(from, from + length)),
        end: restStart + from + length,
        complete: false
      })
      from += length
    } else break
  }
  return [lines, rest.slice(from), restStart + from]
}

/** Bytes that are not part of a complete line yet, and the offset of the first. */
interface Pending {
  readonly rest: Uint8Array
  readonly start: number
}
const nothingPending: Pending = { rest: new Uint8Array(), start: 0 }

/** Lines of a Job's output; text that is not UTF-8 gets U+FFFD. A line that is too long comes in pieces. */
export const lines = <E>(output: Stream.Stream<JobOutput, E>): Stream.Stream<JobLine, E> =>
  Stream.unwrap(Effect.map(Timing, ({ jobs }) => linesUpTo(jobs.lineBytes, output)))

const linesUpTo = <E>(longestLine: number, output: Stream.Stream<JobOutput, E>): Stream.Stream<JobLine, E> =>
  output.pipe(
    Stream.map((piece): JobOutput | undefined => piece),
    // The end of the output ends its last line.
    Stream.concat(Stream.succeed(undefined)),
    Stream.mapAccum<Pending, JobOutput | undefined, Chunk.Chunk<JobLine>>(nothingPending, (state, piece) => {
      if (piece === undefined) {
        const last = {
          text: decoder.decode(state.rest),
          end: state.start + state.rest.length,
          complete: true
        }
        return [state, Chunk.fromIterable(state.rest.length === 0 ? [] : [last])]
      }
      const joined = new Uint8Array(state.rest.length + piece.bytes.length)
      joined.set(state.rest)
      joined.set(piece.bytes, state.rest.length)
      const [found, rest, start] = splitLines(
        joined,
        piece.end - piece.bytes.length - state.rest.length,
        longestLine
      )
      return [{ rest, start }, Chunk.fromIterable(found)]
    }),
    Stream.flattenChunks
  )

/** Returns a Job's exit code after proving that nothing of it runs; fails if it was interrupted. */
export const conclude = (
  host: HostShape,
  job: JobRef,
  stop: StopSignal
): Effect.Effect<number, HostError | ProvisionError> =>
  Effect.gen(function* () {
    yield* host.stopJob(job.folder, { stop, graceSeconds: 0 })
    const status = yield* host.jobStatus(job.folder)
    return status._tag === "Exited"
      ? status.exitCode
      : yield* new ProvisionError({
          reason: "interrupted",
          message: `${job.key} was interrupted: it is gone and left no exit code`,
          hint: "the machine was restarted, the processes were killed, or the disk was full; create the sandbox again"
        })
  })

/** Groups elements that arrive within a moment. Elements before a failure are kept, because they explain it. */
export const grouped = <A, E, R>(stream: Stream.Stream<A, E, R>): Stream.Stream<Chunk.Chunk<A>, E, R> =>
  Stream.unwrap(
    Effect.map(Timing, ({ jobs }) =>
      stream.pipe(
        // As values, since groups that are not full are dropped where the stream fails.
        Stream.either,
        Stream.groupedWithin(jobs.groupLines, jobs.groupInterval),
        Stream.flatMap((group) => {
          const [failures, items] = Chunk.separate(group)
          const end = Option.match(Chunk.head(failures), { onNone: () => Stream.empty, onSome: Stream.fail })
          return Stream.concat(Stream.succeed(items), end)
        })
      )
    )
  )

/** Notes out of a request: read up to a limit, and refused with what is wrong with which. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Note } from "../../../domain/Note.js"
import { Timing } from "../../../settings/Timing.js"
import { mostBytes, mostNotes, PostedNote } from "../HubApi.js"
import { NoNotes, NotJson, TooLarge } from "../HubRefusals.js"

const longestMessage = 200
/** What is nested deeper cannot be written again as JSON without a limit to it. */
const deepest = 64

const tooLarge = new TooLarge({ message: `a request has at most ${mostBytes} bytes` })

const readBody = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.gen(function* () {
    const type = request.headers["content-type"] ?? ""
    // A page of another site can send all types but this one.
    if (!/^application\/json *(?:;|$)/i.test(type.trim())) {
      return yield* new NotJson({ message: "send notes with Content-Type: application/json" })
    }
    if ((request.headers["content-encoding"] ?? "identity") !== "identity") {
      return yield* new NotJson({ message: "send notes without a Content-Encoding" })
    }
    const { discardedBytes } = (yield* Timing).hubServer
    const pieces: Array<Uint8Array> = []
    let size = 0
    yield* Stream.runForEach(request.stream, (piece) => {
      size += piece.length
      if (size <= mostBytes) pieces.push(piece)
      return size > discardedBytes ? tooLarge : Effect.void
    }).pipe(
      Effect.catchTag("RequestError", () => new NoNotes({ message: "the body was cut off", issues: [] }))
    )
    return size > mostBytes ? yield* tooLarge : Buffer.concat(pieces)
  })

const parse = (body: Uint8Array) =>
  Effect.try({
    try: (): unknown => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)),
    catch: () => new NoNotes({ message: "the body is no JSON in UTF-8", issues: [] })
  })

const isDeeper = (value: unknown, than: number): boolean =>
  typeof value === "object" &&
  value !== null &&
  (than === 0 || Object.values(value).some((inner) => isDeeper(inner, than - 1)))

const cut = (text: string) => (text.length > longestMessage ? `${text.slice(0, longestMessage)}…` : text)

type Issue = NoNotes["issues"][number]

const decode = (given: unknown, index: number): Either.Either<Note, ReadonlyArray<Issue>> => {
  const decoded = Schema.decodeUnknownEither(PostedNote)(given)
  if (Either.isLeft(decoded)) {
    return Either.left(
      ParseResult.ArrayFormatter.formatErrorSync(decoded.left).map(({ message, path }) => ({
        index,
        path: cut(path.map(String).join(".")),
        message: cut(message)
      }))
    )
  }
  const message = `Expected no more than ${deepest} levels`
  return isDeeper(decoded.right.detail, deepest)
    ? Either.left([{ index, path: "detail", message }])
    : Either.right(decoded.right)
}

/** All notes of a request, or why it has none that can be taken. */
export const notesOf = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<ReadonlyArray<Note>, NoNotes | NotJson | TooLarge> =>
  Effect.gen(function* () {
    const parsed = yield* Effect.flatMap(readBody(request), parse)
    const given: ReadonlyArray<unknown> = Array.isArray(parsed) ? parsed : [parsed]
    if (given.length > mostNotes) {
      return yield* new TooLarge({ message: `a request has at most ${mostNotes} notes` })
    }
    const mostIssues = (yield* Timing).hubServer.issues
    const notes: Array<Note> = []
    const issues: Array<Issue> = []
    for (const [index, one] of given.entries()) {
      const decoded = decode(one, index)
      if (Either.isRight(decoded)) notes.push(decoded.right)
      else issues.push(...decoded.left)
      if (issues.length >= mostIssues) break
    }
    const [first] = issues
    if (first === undefined) return notes
    return yield* new NoNotes({
      message: `note ${first.index} is none: ${[first.path, first.message].filter((part) => part !== "").join(": ")}`,
      issues: issues.slice(0, mostIssues)
    })
  })

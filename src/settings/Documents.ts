/** YAML documents that people write (JSON is YAML, too). Errors carry the line and column. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import {
  type Document,
  type ErrorCode,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  visit
} from "yaml"
import { UsageError } from "../domain/Errors.js"

/** Number of aliases that are followed: enough for any document, too few to fill the memory. */
const mostAliases = 50

/** A kind of document, such as a profile. */
export interface DocumentKind {
  readonly reason: UsageError["reason"]
  /** With its article: "a profile". */
  readonly name: string
  /** How to start one: the hint for an empty document. */
  readonly begin: string
  /** Whether an empty document is valid. */
  readonly mayBeEmpty?: boolean
}

/** The keys of a document as they were written, and their positions. */
export interface MapDocument {
  readonly file: string
  readonly keys: Readonly<Record<string, unknown>>
  /** The position of a key, or of the nearest key above it that was written. */
  readonly locate: (path: ReadonlyArray<PropertyKey>) => { readonly line: number; readonly column: number }
}

const offsetOf = (document: Document, path: ReadonlyArray<PropertyKey>): number => {
  for (let length = path.length; length > 0; length--) {
    const above = document.getIn(path.slice(0, length - 1), true)
    const last = path[length - 1]
    const pair = isMap(above) ? above.items.find(({ key }) => isScalar(key) && key.value === last) : undefined
    const node = (pair?.key ?? document.getIn(path.slice(0, length), true)) as Node | undefined
    if (node?.range) return node.range[0]
  }
  return 0
}

/** The parser's messages, in words for people. */
const plainly: Partial<Record<ErrorCode, string>> = {
  MULTIPLE_DOCS: "a second document begins here",
  NON_STRING_KEY: "a key must be a string",
  RESOURCE_EXHAUSTION: "it is nested too deeply"
}

/** Where a document contains something that YAML allows and that means nothing in ours. */
const meaningless = (document: Document): { readonly offset: number; readonly what: string } | undefined => {
  let found: { readonly offset: number; readonly what: string } | undefined
  const anchors = new Map<string, Node>()
  const stop = (node: Node, what: string) => {
    found = { offset: node.range?.[0] ?? 0, what }
    return visit.BREAK
  }
  visit(document, {
    Value: (_, value) => {
      if (value.anchor !== undefined) anchors.set(value.anchor, value)
    },
    Alias: (_, alias, above) => {
      const target = anchors.get(alias.source)
      if (target === undefined)
        return stop(alias, `there is no anchor &${alias.source} before *${alias.source}`)
      return above.includes(target) ? stop(alias, `*${alias.source} contains itself`) : undefined
    },
    Pair: (_, { key }) =>
      isScalar(key) && key.value === "__proto__" ? stop(key, "a key cannot be named __proto__") : undefined
  })
  return found
}

/** Parses the text of a document's file. */
export const parse = (
  file: string,
  text: string,
  { begin, mayBeEmpty = false, name, reason }: DocumentKind
): Either.Either<MapDocument, UsageError> => {
  const usage = (at: { readonly line: number; readonly column: number }, message: string, hint: string) =>
    new UsageError({ reason, message, hint, location: { file, ...at } })
  const counter = new LineCounter()
  const at = (offset: number) => {
    const { col, line } = counter.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const document = parseDocument(text, { lineCounter: counter, schema: "core", stringKeys: true })
  const [error] = document.errors
  if (error !== undefined) {
    const what = plainly[error.code] ?? error.message.split(/ at line \d/)[0] ?? error.message
    return Either.left(
      usage(at(error.pos[0]), what, `${name} is one YAML document: check the indentation there`)
    )
  }
  const problem = meaningless(document)
  if (problem !== undefined) {
    return Either.left(usage(at(problem.offset), problem.what, "write the value out, or use another name"))
  }
  return Either.flatMap(
    Either.try({
      try: () => document.toJS({ maxAliasCount: mostAliases }) as unknown,
      catch: () => usage({ line: 1, column: 1 }, "it has too many aliases", "write the values out")
    }),
    (written) => {
      const keys = written === null && mayBeEmpty ? {} : written
      return typeof keys === "object" && keys !== null && !Array.isArray(keys)
        ? Either.right({
            file,
            keys: keys as Record<string, unknown>,
            locate: (path) => at(offsetOf(document, path))
          })
        : Either.left(
            usage({ line: 1, column: 1 }, keys === null ? "it is empty" : "it is not a map of keys", begin)
          )
    }
  )
}

/** In bytes. Nobody writes a larger document. */
const largestFile = 256 * 1024

export const unreadable = (file: string, { name, reason }: DocumentKind, message: string): UsageError =>
  new UsageError({
    reason,
    message,
    hint: `${name} is a YAML document of a few kilobytes`,
    location: { file, line: 1, column: 1 }
  })

/** Why a file cannot be a document, before it is read; `size` in bytes. */
export const problemOf = (found: { readonly isFile: boolean; readonly size: number }): string | undefined =>
  !found.isFile
    ? "it is not a file"
    : found.size > largestFile
      ? `it is too large: ${found.size} bytes`
      : undefined

/** Reads a document from its file. */
export const read = (
  file: string,
  kind: DocumentKind
): Effect.Effect<MapDocument, UsageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { size, type } = yield* fs.stat(file)
    const problem = problemOf({ isFile: type === "File", size: Number(size) })
    if (problem !== undefined) return yield* unreadable(file, kind, problem)
    return yield* parse(file, yield* fs.readFileString(file), kind)
  }).pipe(
    Effect.catchTags({
      BadArgument: (error) => unreadable(file, kind, error.message),
      SystemError: (error) =>
        unreadable(file, kind, error.reason === "NotFound" ? "there is no such file" : error.message)
    })
  )

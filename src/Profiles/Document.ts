/** Reading a profile's YAML: what is wrong with it is told with its line and column. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument } from "yaml"
import { UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import { ProfileDocument } from "../domain/Profile.js"

/** Larger files are no profiles. */
export const largestFile = 256 * 1024

/** Aliases that are followed: enough for any profile, and too few to fill the memory. */
const mostAliases = 50

/** A profile's keys as they were written, and where. */
export interface RawProfile {
  readonly file: string
  readonly keys: Readonly<Record<string, unknown>>
  /** Where a key, or the nearest key above it that was written, stands. */
  readonly locate: (path: ReadonlyArray<PropertyKey>) => { readonly line: number; readonly column: number }
}

const usage = (
  file: string,
  at: { readonly line: number; readonly column: number },
  message: string,
  hint: string
) => new UsageError({ reason: "profile", message, hint, location: { file, ...at } })

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

/** Parses the text of a profile's file. */
export const parse = (file: string, text: string): Either.Either<RawProfile, UsageError> => {
  const counter = new LineCounter()
  const at = (offset: number) => {
    const { col, line } = counter.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: true })
  const [error] = document.errors
  if (error !== undefined) {
    const [what = error.message] = error.message.split(/ at line \d/)
    return Either.left(
      usage(file, at(error.pos[0]), what, "a profile is a YAML document: check the indentation there")
    )
  }
  return Either.flatMap(
    Either.try({
      try: () => document.toJS({ maxAliasCount: mostAliases }) as unknown,
      catch: () => usage(file, { line: 1, column: 1 }, "it has too many aliases", "write them out")
    }),
    (keys) =>
      typeof keys === "object" && keys !== null && !Array.isArray(keys)
        ? Either.right({
            file,
            keys: keys as Record<string, unknown>,
            locate: (path) => at(offsetOf(document, path))
          })
        : Either.left(
            usage(file, { line: 1, column: 1 }, "it is no map of keys", "begin with `id: profile.NAME`")
          )
  )
}

const keysOf: Readonly<Record<string, ReadonlyArray<string>>> = {
  "": Object.keys(ProfileDocument.fields),
  placement: ["host", "requires"],
  requires: ["commands", "freeDisk"],
  prepare: ["command", "inputs", "produces", "variable"],
  hub: ["workstream", "task"]
}

const inputKeys = ["type", "description", "default", "required", "pattern", "choices", "env", "variable"]

/** Decodes a profile's keys; `raws` are the documents they were merged from, the most specific one first. */
export const decode = (
  keys: Readonly<Record<string, unknown>>,
  raws: readonly [RawProfile, ...Array<RawProfile>]
): Either.Either<ProfileDocument, UsageError> =>
  Either.mapLeft(
    Schema.decodeUnknownEither(ProfileDocument)(keys, { onExcessProperty: "error" }),
    (error) => {
      const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
      const path = issue?.path ?? []
      const key = String(path.at(-1) ?? "")
      const has = (raw: RawProfile) =>
        path.reduce<unknown>(
          (value, part) =>
            typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined,
          raw.keys
        ) !== undefined
      const raw = raws.find(has) ?? raws[0]
      const at = raw.locate(path)
      if (issue?._tag === "Unexpected") {
        const above = String(path.at(-2) ?? "")
        const known = path.length === 3 && path[0] === "inputs" ? inputKeys : (keysOf[above] ?? [])
        return usage(
          raw.file,
          at,
          `unknown key ${key}`,
          didYouMean(key, known, `keys are ${known.join(", ")}`)
        )
      }
      const expected = (issue?.message ?? "it cannot be read").split("\n").at(-1) ?? ""
      return usage(
        raw.file,
        at,
        `${path.map(String).join(".") || "profile"}: ${expected}`,
        "see docs/profiles.md for what a profile may say"
      )
    }
  )

/** Reading a profile's YAML: what is wrong with it is told with its line and column. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { UsageError } from "../../domain/Errors.js"
import { ProfileInput } from "../../domain/Input.js"
import { didYouMean } from "../../domain/Nearest.js"
import { phases } from "../../domain/Phase.js"
import { Hardware, Prepare, ProfileDocument, Retry } from "../../domain/Profile.js"
import type * as Documents from "../../settings/Documents.js"

/** A profile's keys as they were written, and where. */
export type RawProfile = Documents.MapDocument

/** What Documents is to say of profiles. */
export const kind: Documents.DocumentKind = {
  reason: "profile",
  name: "a profile",
  begin: "begin with `id: profile.NAME`"
}

const usage = (
  file: string,
  at: { readonly line: number; readonly column: number },
  message: string,
  hint: string
) => new UsageError({ reason: kind.reason, message, hint, location: { file, ...at } })

const keysOf: Readonly<Record<string, ReadonlyArray<string>>> = {
  "": Object.keys(ProfileDocument.fields),
  placement: ["host", "requires"],
  requires: ["commands", "freeDisk"],
  prepare: Object.keys(Prepare.fields),
  hardware: Object.keys(Hardware.fields),
  retry: Object.keys(Retry.fields),
  timeouts: phases,
  hub: ["workstream", "task"]
}

const inputKeys = Object.keys(ProfileInput.fields)

/** Whether a document itself says something of a key. */
export const says = ({ keys }: RawProfile, path: ReadonlyArray<PropertyKey>): boolean =>
  path.reduce<unknown>(
    (value, part) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, part)
        ? Reflect.get(value, part)
        : undefined,
    keys
  ) !== undefined

/** The document that says a key, or else the nearest one above it; the id is everyone's own. */
const toBlame = (
  raws: readonly [RawProfile, ...Array<RawProfile>],
  path: ReadonlyArray<PropertyKey>
): RawProfile =>
  path.length === 0 || path[0] === "id"
    ? raws[0]
    : (raws.find((one) => says(one, path)) ?? toBlame(raws, path.slice(0, -1)))

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
      const raw = toBlame(raws, path)
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

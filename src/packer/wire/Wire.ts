/**
 * Packer's machine-readable output: one record a line, `unixSeconds,target,type,data…`.
 *
 * In data (not in the target) a comma is written `%!(PACKER_COMMA)`, a CR `\r` and a LF `\n`, but a backslash is not
 * escaped. So decoding is ambiguous: a backslash and an `n` that a program printed, or that a path contains, become a
 * line feed.
 */

/** The kind of a text. From 1.13 on there is no `message`, and a guest's stderr is `error`. */
type UiKind = "say" | "message" | "error"

/** The fields of an artifact; `nil` means that there is no artifact, `end` closes it. */
type ArtifactFieldName = "builder-id" | "id" | "string" | "files-count" | "file" | "nil" | "end"

/** A line that is no record: from a program that writes directly to the output, a panic, or a usage text. */
interface Text {
  readonly _tag: "Text"
  readonly text: string
}

/** `time` is in epoch milliseconds in every record, to the second. The build, if any, is in the text (see PhaseLines). */
interface Ui {
  readonly _tag: "Ui"
  readonly time: number
  readonly kind: UiKind
  readonly text: string
}

interface ErrorRecord {
  readonly _tag: "ErrorRecord"
  readonly time: number
  readonly target: string
  readonly text: string
}

/** One field of a build's artifact number `index`; `value` is the path of a `file`, empty for `nil` and `end`. */
interface ArtifactField {
  readonly _tag: "ArtifactField"
  readonly time: number
  readonly build: string
  readonly index: number
  readonly field: ArtifactFieldName
  readonly value: string
}

interface Version {
  readonly _tag: "Version"
  readonly time: number
  readonly part: "version" | "prerelease"
  readonly value: string
}

/** From `inspect` of a JSON template. `default` may be a secret in clear. */
interface TemplateVariable {
  readonly _tag: "TemplateVariable"
  readonly time: number
  readonly name: string
  readonly default: string
  readonly required: boolean
}

interface TemplateBuilder {
  readonly _tag: "TemplateBuilder"
  readonly time: number
  readonly name: string
  readonly type: string
}

/** A record of a type that is not used here, or with invalid data. */
interface Other {
  readonly _tag: "Other"
  readonly time: number
  readonly target: string
  readonly type: string
  readonly data: ReadonlyArray<string>
}

export type WireRecord =
  | Text
  | Ui
  | ErrorRecord
  | ArtifactField
  | Version
  | TemplateVariable
  | TemplateBuilder
  | Other

/**
 * Parses a line, which is given without its line end. A line that is not a record is a `Text`.
 *
 * A target is not escaped, so a target with a comma is only found if `builds` has this name.
 */
export const parse = (line: string, options?: { readonly builds?: ReadonlyArray<string> }): WireRecord => {
  const stamp = /^(\d{1,12}),/.exec(line)
  if (stamp === null) {
    return { _tag: "Text", text: line }
  }
  const rest = line.slice(stamp[0].length)
  const target = targetOf(rest, options?.builds ?? [])
  const [type, ...data] = rest.slice(target.length + 1).split(",")
  if (!rest.startsWith(`${target},`) || type === undefined || !/^[a-z][a-z0-9-]*$/.test(type)) {
    return { _tag: "Text", text: line }
  }
  const time = Number(stamp[1]) * 1000
  const fields = data.map(decode)
  return typed(time, target, type, fields) ?? { _tag: "Other", time, target, type, data: fields }
}

/** How far a line has been read that comes in pieces: whether it is a record, and the beginning of a cut escape. */
export interface LineState {
  readonly inRecord: boolean
  readonly torn: string
}
export const lineStart: LineState = { inRecord: false, torn: "" }

/**
 * Reads a piece of a line, which may come in several as it is too long. The first one is parsed; those after it are the
 * rest of its text. An escape that is cut between two pieces is read with the second one.
 */
export const parsePiece = (
  state: LineState,
  { complete, text }: { readonly text: string; readonly complete: boolean },
  options?: { readonly builds?: ReadonlyArray<string> }
): readonly [LineState, WireRecord] => {
  const joined = state.torn + text
  const torn = complete ? "" : tornEscape(joined)
  const whole = joined.slice(0, joined.length - torn.length)
  const record: WireRecord = state.inRecord ? { _tag: "Text", text: decode(whole) } : parse(whole, options)
  return [{ inRecord: !complete && (state.inRecord || record._tag !== "Text"), torn }, record]
}

const targetOf = (rest: string, builds: ReadonlyArray<string>): string => {
  const known = builds
    .filter((build) => build.includes(",") && rest.startsWith(`${build},`))
    .reduce((longest, build) => (build.length > longest.length ? build : longest), "")
  return known === "" ? rest.slice(0, Math.max(0, rest.indexOf(","))) : known
}

const escapes = [
  [",", "%!(PACKER_COMMA)"],
  ["\r", "\\r"],
  ["\n", "\\n"]
] as const

/** Writes a text as Packer writes it in the data of a record. */
export const encode = (text: string): string =>
  escapes.reduce((encoded, [character, escape]) => encoded.replaceAll(character, escape), text)

/** Reads a text from the data of a record. */
export const decode = (text: string): string =>
  escapes.reduce((decoded, [character, escape]) => decoded.replaceAll(escape, character), text)

/** The beginning of an escape at the end of a text; empty where there is none. */
const tornEscape = (text: string): string =>
  escapes
    .flatMap(([, escape]) => Array.from(escape.slice(1), (_, index) => escape.slice(0, index + 1)))
    .findLast((start) => text.endsWith(start)) ?? ""

const uiKinds: ReadonlyArray<string> = ["say", "message", "error"] satisfies ReadonlyArray<UiKind>

const artifactFields: ReadonlyArray<string> = [
  "builder-id",
  "id",
  "string",
  "files-count",
  "file",
  "nil",
  "end"
] satisfies ReadonlyArray<ArtifactFieldName>

const isUiKind = (text: string | undefined): text is UiKind => text !== undefined && uiKinds.includes(text)

const isArtifactField = (text: string | undefined): text is ArtifactFieldName =>
  text !== undefined && artifactFields.includes(text)

const count = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined

const version = (time: number, part: Version["part"], value: string | undefined): Version | undefined =>
  value === undefined ? undefined : { _tag: "Version", time, part, value }

const typed = (
  time: number,
  target: string,
  type: string,
  data: ReadonlyArray<string>
): WireRecord | undefined => {
  const [first, second, third] = data
  switch (type) {
    case "ui":
      return isUiKind(first) && second !== undefined
        ? { _tag: "Ui", time, kind: first, text: data.slice(1).join(",") }
        : undefined
    case "error":
      return first === undefined ? undefined : { _tag: "ErrorRecord", time, target, text: first }
    case "artifact": {
      const index = count(first)
      // A `file` has its number before its path.
      const value = second === "file" ? data[3] : second === "nil" || second === "end" ? "" : third
      return index === undefined || !isArtifactField(second) || value === undefined
        ? undefined
        : { _tag: "ArtifactField", time, build: target, index, field: second, value }
    }
    case "version":
      return version(time, "version", first)
    // Packer's own spelling.
    case "version-prelease":
      return version(time, "prerelease", first)
    case "template-variable":
      return first === undefined || second === undefined || third === undefined
        ? undefined
        : { _tag: "TemplateVariable", time, name: first, default: second, required: third === "1" }
    case "template-builder":
      return first === undefined || second === undefined
        ? undefined
        : { _tag: "TemplateBuilder", time, name: first, type: second }
    default:
      return undefined
  }
}

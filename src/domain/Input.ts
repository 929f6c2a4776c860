import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { UsageError } from "./Errors.js"
import { didYouMean } from "./Nearest.js"
import { parseDuration, parseSize } from "./Units.js"

/** @category model */
export const InputType = Schema.Literal(
  "string",
  "path",
  "integer",
  "number",
  "boolean",
  "duration",
  "size",
  "secret",
  "list",
  "map"
)
export type InputType = typeof InputType.Type

const declaration = {
  description: Schema.optional(Schema.String),
  /** What it is where nobody gives it; a path here is relative to the profile's file. */
  default: Schema.optional(Schema.Unknown),
  required: Schema.optional(Schema.Boolean),
  /** A regular expression that the whole text has to match. */
  pattern: Schema.optional(Schema.String),
  choices: Schema.optional(Schema.Array(Schema.String)),
  /** The name of an environment variable that is read where the input is not given. */
  env: Schema.optional(Schema.String),
  /** Whether it is handed to the template as the variable of the same name. */
  variable: Schema.optional(Schema.Boolean)
}

/**
 * An input that an extension declares.
 * @category model
 */
export const InputDeclaration = Schema.Struct({ type: InputType, ...declaration })
export type InputDeclaration = typeof InputDeclaration.Type
export type InputDeclarations = Readonly<Record<string, InputDeclaration>>

/** An input as a profile narrows it; the type may be left to the extension. */
export const ProfileInput = Schema.Struct({ type: Schema.optional(InputType), ...declaration })
export type ProfileInput = typeof ProfileInput.Type

/**
 * What the user gave for one input: texts of the command line (several where the key was repeated), the entries of
 * `-i key.name=value`, or a value of a document or of a program.
 */
export type GivenInput =
  | { readonly _tag: "Texts"; readonly texts: ReadonlyArray<string> }
  | { readonly _tag: "Entries"; readonly entries: Readonly<Record<string, string>> }
  | { readonly _tag: "Value"; readonly value: unknown }
export type GivenInputs = Readonly<Record<string, GivenInput>>

/**
 * Inputs with their types: sizes are bytes, durations seconds, paths absolute. Of a secret the source alone is
 * here (`env:NAME` or `@/file`): its value never becomes part of a plan.
 */
export interface ResolvedInputs {
  readonly values: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, string>>
}

const wrong = (name: string, given: unknown, expected: string) =>
  new UsageError({
    reason: "input",
    message: `input ${name}: got ${JSON.stringify(given)}`,
    hint: `${name} takes ${expected}`
  })

const scalar = (
  name: string,
  type: InputType,
  value: unknown,
  absolute: (path: string) => string
): Either.Either<unknown, UsageError> => {
  const text = typeof value === "string" ? value : undefined
  switch (type) {
    case "string":
      return text !== undefined
        ? Either.right(text)
        : typeof value === "number" || typeof value === "boolean"
          ? Either.right(String(value))
          : Either.left(wrong(name, value, "a text"))
    case "path":
      return text !== undefined && text !== "" && !text.includes("\0")
        ? Either.right(absolute(text))
        : Either.left(wrong(name, value, "a path"))
    case "integer":
    case "number": {
      const number =
        typeof value === "number" ? value : /^[+-]?\d+(\.\d+)?$/.test(text ?? "") ? Number(text) : Number.NaN
      const fits = type === "integer" ? Number.isSafeInteger(number) : Number.isFinite(number)
      return fits
        ? Either.right(number)
        : Either.left(wrong(name, value, type === "integer" ? "a whole number" : "a number"))
    }
    case "boolean":
      return typeof value === "boolean"
        ? Either.right(value)
        : text === "true" || text === "false"
          ? Either.right(text === "true")
          : Either.left(wrong(name, value, "true or false"))
    case "duration":
    case "size":
      return typeof value === "number" && value >= 0
        ? Either.right(value)
        : Either.mapLeft((type === "duration" ? parseDuration : parseSize)(text ?? ""), (expected) =>
            wrong(name, value, expected)
          )
    case "secret":
      return text !== undefined && /^(env:[A-Za-z_][A-Za-z0-9_]*|@.+)$/.test(text)
        ? Either.right(text.startsWith("@") ? `@${absolute(text.slice(1))}` : text)
        : Either.left(
            new UsageError({
              reason: "input",
              message: `input ${name} is a secret and cannot be given as it is`,
              hint: `give its source: -i ${name}=env:NAME or -i ${name}=@FILE`
            })
          )
    default:
      return Either.left(wrong(name, value, `a ${type}`))
  }
}

const typed = (
  name: string,
  declared: InputDeclaration,
  given: GivenInput,
  absolute: (path: string) => string
): Either.Either<unknown, UsageError> =>
  Either.gen(function* () {
    if (declared.type === "map") {
      const value =
        given._tag === "Entries"
          ? given.entries
          : given._tag === "Value"
            ? given.value
            : given.texts.join(" ")
      return typeof value === "object" && value !== null && !Array.isArray(value)
        ? value
        : yield* Either.left(wrong(name, value, `entries: -i ${name}.key=value`))
    }
    if (given._tag === "Entries") {
      return yield* Either.left(wrong(name, given.entries, `a ${declared.type}, not -i ${name}.key=value`))
    }
    if (declared.type === "list") {
      const value = given._tag === "Texts" ? given.texts : given.value
      return Array.isArray(value)
        ? yield* Either.all(value.map((item) => scalar(name, "string", item, absolute)))
        : yield* Either.left(wrong(name, value, `a list: repeat -i ${name}=…`))
    }
    if (given._tag === "Texts" && given.texts.length > 1) {
      return yield* Either.left(wrong(name, given.texts, "one value"))
    }
    return yield* scalar(name, declared.type, given._tag === "Texts" ? given.texts[0] : given.value, absolute)
  })

const checked = (
  name: string,
  declared: InputDeclaration,
  value: unknown
): Either.Either<unknown, UsageError> => {
  const { choices, pattern } = declared
  if (pattern !== undefined && !new RegExp(`^(?:${pattern})$`, "u").test(String(value))) {
    return Either.left(wrong(name, value, `a text that matches ${pattern}`))
  }
  if (choices !== undefined && !choices.includes(String(value))) {
    const all = `one of ${choices.join(", ")}`
    return Either.left(
      new UsageError({
        reason: "input",
        message: `input ${name}: got ${JSON.stringify(value)}`,
        hint: didYouMean(String(value), choices, `${name} takes ${all}`)
      })
    )
  }
  return Either.right(value)
}

/**
 * Gives every declared input its value: what was given, else its environment variable, else its default. A path
 * that was given or came from the environment is made absolute by `given`, a default by `profile`.
 */
export const resolveInputs = (options: {
  readonly declarations: InputDeclarations
  readonly given: GivenInputs
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly absolute: { readonly given: (path: string) => string; readonly profile: (path: string) => string }
}): Either.Either<ResolvedInputs, UsageError> =>
  Either.gen(function* () {
    const { absolute, declarations, environment, given } = options
    const unknown = Object.keys(given).find((name) => !Object.hasOwn(declarations, name))
    if (unknown !== undefined) {
      return yield* Either.left(
        new UsageError({
          reason: "input",
          message: `unknown input ${unknown}`,
          hint: didYouMean(
            unknown,
            Object.keys(declarations),
            `inputs are ${Object.keys(declarations).join(", ")}`
          )
        })
      )
    }
    const values: Record<string, unknown> = {}
    const secrets: Record<string, string> = {}
    for (const [name, declared] of Object.entries(declarations)) {
      const fromEnvironment = declared.env === undefined ? undefined : environment[declared.env]
      const source: readonly [GivenInput, (path: string) => string] | undefined =
        given[name] !== undefined
          ? [given[name], absolute.given]
          : fromEnvironment !== undefined && declared.type === "secret"
            ? [{ _tag: "Texts", texts: [`env:${declared.env}`] }, absolute.given]
            : fromEnvironment !== undefined
              ? [{ _tag: "Texts", texts: [fromEnvironment] }, absolute.given]
              : declared.default !== undefined
                ? [{ _tag: "Value", value: declared.default }, absolute.profile]
                : undefined
      if (source === undefined) {
        if (declared.required === true) {
          return yield* Either.left(
            new UsageError({
              reason: "input",
              message: `input ${name} is missing`,
              hint: `give it: -i ${name}=${declared.type === "secret" ? "env:NAME" : "…"}${declared.description === undefined ? "" : ` (${declared.description})`}`
            })
          )
        }
        continue
      }
      const value = yield* Either.flatMap(typed(name, declared, ...source), (read) =>
        declared.type === "secret" ? Either.right(read) : checked(name, declared, read)
      )
      if (declared.type === "secret") secrets[name] = String(value)
      else values[name] = value
    }
    return { values, secrets }
  })

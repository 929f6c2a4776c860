import * as Either from "effect/Either"
import * as Inspectable from "effect/Inspectable"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type Location, UsageError } from "./Errors.js"
import { didYouMean } from "./Nearest.js"
import { parseDuration, parseSize } from "./Units.js"

const inputTypes = [
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
] as const

/** @category model */
export const InputType = Schema.Literal(...inputTypes).annotations({
  message: ({ actual }) => ({
    message: `Expected one of ${inputTypes.join(", ")}, actual ${Inspectable.toStringUnknown(actual, 0)}`,
    override: true
  })
})
export type InputType = typeof InputType.Type

const isPattern = (text: string): boolean => {
  try {
    return new RegExp(text, "u").unicode
  } catch {
    return false
  }
}

const Choice = Schema.transform(
  Schema.Union(Schema.String, Schema.Number, Schema.Boolean).annotations({ title: "a text" }),
  Schema.String,
  { strict: true, decode: String, encode: (text) => text }
)

const declaration = {
  description: Schema.optional(Schema.String),
  /** What it is where nobody gives it; a path here is relative to the profile's file. */
  default: Schema.optional(Schema.Unknown),
  required: Schema.optional(Schema.Boolean),
  /** A regular expression that the whole text has to match, of a list or map each one in it. */
  pattern: Schema.optional(
    Schema.String.pipe(Schema.filter(isPattern, { message: () => "it is no regular expression" }))
  ),
  /** Texts; numbers and truth values stand for the texts that they are written as. */
  choices: Schema.optional(Schema.Array(Choice).annotations({ title: "a list of texts" })),
  /** What a list is made of; texts where it is left out. */
  items: Schema.optional(Schema.Literal("string", "path")),
  /** The name of an environment variable that is read where the input is not given; an empty one is none. */
  env: Schema.optional(Schema.String),
  /** Whether it is handed to the template as the variable of the same name. */
  variable: Schema.optional(Schema.Boolean)
}

/**
 * An input that an extension declares. `exists`: a path that has to be there; its default is looked for when a profile
 * is checked, and whoever plans looks for what was given.
 * @category model
 */
export const InputDeclaration = Schema.Struct({
  type: InputType,
  ...declaration,
  exists: Schema.optional(Schema.Boolean)
})
export type InputDeclaration = typeof InputDeclaration.Type
export type InputDeclarations = Readonly<Record<string, InputDeclaration>>

/** An input as a profile narrows it; the type may be left to the extension. */
export const ProfileInput = Schema.Struct({ type: Schema.optional(InputType), ...declaration }).annotations({
  title: "the keys of an input"
})
export type ProfileInput = typeof ProfileInput.Type

type PlainValue =
  | string
  | number
  | boolean
  | ReadonlyArray<PlainValue>
  | { readonly [key: string]: PlainValue }

/**
 * What is given for an input: its value, or a text that has its value (`"20 GiB"` for a size). For a secret, a text is its
 * source (`env:NAME` or `@FILE`), and a `Redacted` is its value.
 */
export type InputValue = PlainValue | Redacted.Redacted
export type InputValues = Readonly<Record<string, InputValue>>

/** Where in documents inputs were given, by their names. */
export type InputLocations = Readonly<Record<string, Location>>

/**
 * Inputs with their types: sizes are bytes, durations seconds, paths absolute. Of a secret the source alone is
 * here (`env:NAME`, `@/file`, or `prompt`): its value never becomes part of a plan.
 */
export interface ResolvedInputs {
  readonly values: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, string>>
}

const got = (name: string, given: unknown) =>
  `input ${name}: got ${typeof given === "string" ? JSON.stringify(given) : Inspectable.toStringUnknown(given, 0)}`

const wrong = (name: string, given: unknown, expected: string) =>
  new UsageError({ reason: "input", message: got(name, given), hint: `${name} takes ${expected}` })

/** What was given may be the secret itself: no message repeats it. */
const secretGiven = (name: string) =>
  new UsageError({
    reason: "input",
    message: `input ${name} is a secret and cannot be given as it is`,
    hint: `give its source, once: -i ${name}=env:NAME or -i ${name}=@FILE`
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
      return typeof value === "number" && value >= 0 && Number.isFinite(value)
        ? Either.right(value)
        : Either.mapLeft((type === "duration" ? parseDuration : parseSize)(text ?? ""), (expected) =>
            wrong(name, value, expected)
          )
    case "secret":
      return text !== undefined && /^(env:[A-Za-z_][A-Za-z0-9_]*|@.+)$/.test(text)
        ? Either.right(text.startsWith("@") ? `@${absolute(text.slice(1))}` : text)
        : Either.left(secretGiven(name))
    default:
      return Either.left(wrong(name, value, `a ${type}`))
  }
}

const isMap = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const typed = (
  name: string,
  { items = "string", type }: InputDeclaration,
  { absolute, inDocument, value }: Source
): Either.Either<unknown, UsageError> => {
  if (Redacted.isRedacted(value)) {
    return type === "secret"
      ? Either.right(prompt)
      : Either.left(wrong(name, value, "a value that is no secret"))
  }
  if (type === "secret") return scalar(name, type, value, absolute)
  if (type === "map") {
    return isMap(value)
      ? Either.right(value)
      : Either.left(wrong(name, value, `entries: -i ${name}.key=value`))
  }
  if (isMap(value)) return Either.left(wrong(name, value, `a ${type}, not a map`))
  if (type === "list") {
    // Only a document can tell a list of one from a single value.
    const values = Array.isArray(value) ? value : inDocument ? undefined : [value]
    return values === undefined
      ? Either.left(wrong(name, value, `a list: repeat -i ${name}=…`))
      : Either.all(values.map((item) => scalar(name, items, item, absolute)))
  }
  return Array.isArray(value)
    ? Either.left(wrong(name, value, "one value"))
    : scalar(name, type, value, absolute)
}

const checked = (
  name: string,
  { choices, pattern }: InputDeclaration,
  value: unknown
): Either.Either<unknown, UsageError> => {
  const each = typeof value === "object" && value !== null ? Object.values(value) : [value]
  const whole = pattern === undefined ? undefined : new RegExp(`^(?:${pattern})$`, "u")
  const unmatched = each.find((item) => whole?.test(String(item)) === false)
  if (unmatched !== undefined) {
    return Either.left(wrong(name, unmatched, `a text that matches ${pattern}`))
  }
  const unknown = each.find((item) => choices?.includes(String(item)) === false)
  return unknown === undefined
    ? Either.right(value)
    : Either.left(
        new UsageError({
          reason: "input",
          message: got(name, unknown),
          hint: didYouMean(String(unknown), choices ?? [], `${name} takes one of ${choices?.join(", ")}`)
        })
      )
}

/** The source of a secret whose value was typed, or given by a program: it is asked for again on a retry. */
export const prompt = "prompt"

/** Where an input's value is from; `from` names that in errors, where the user did not give the value. */
interface Source {
  readonly value: unknown
  readonly location?: Location | undefined
  readonly inDocument: boolean
  readonly from?: string
  readonly absolute: (path: string) => string
}

const read = (name: string, declared: InputDeclaration, source: Source): Either.Either<unknown, UsageError> =>
  typed(name, declared, source).pipe(
    Either.flatMap((value) =>
      declared.type === "secret" ? Either.right(value) : checked(name, declared, value)
    ),
    Either.mapLeft(
      (error) =>
        new UsageError({
          ...error,
          location: source.location,
          message: source.from === undefined ? error.message : `${error.message} (${source.from})`
        })
    )
  )

/** What the default of an input comes to: it has to be what the input itself takes. */
export const defaultOf = (
  name: string,
  declared: InputDeclaration,
  absolute: (path: string) => string
): Either.Either<unknown, UsageError> =>
  declared.default === undefined
    ? Either.right(undefined)
    : read(name, declared, { value: declared.default, inDocument: true, from: "its default", absolute })

/**
 * Gives every declared input its value: what was given, else its environment variable, else its default. A path
 * that was given or came from the environment is made absolute by `given`, the default of an input by `profile`.
 * With `asks`, a required secret that has no source has `prompt` for one.
 */
export const resolveInputs = (options: {
  readonly declarations: InputDeclarations
  readonly given: InputValues
  readonly locations?: InputLocations
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly absolute: {
    readonly given: (path: string, location: Location | undefined) => string
    readonly profile: (path: string, input: string) => string
  }
  readonly asks?: boolean
  /** Inputs of other modes, by their names, and the mode that has each. */
  readonly elsewhere?: Readonly<Record<string, string>>
}): Either.Either<ResolvedInputs, UsageError> =>
  Either.gen(function* () {
    const {
      absolute,
      asks = false,
      declarations,
      elsewhere = {},
      environment,
      given,
      locations = {}
    } = options
    const locationOf = (name: string) => (Object.hasOwn(locations, name) ? locations[name] : undefined)
    const unknown = Object.keys(given).find((name) => !Object.hasOwn(declarations, name))
    if (unknown !== undefined) {
      const there = Object.hasOwn(elsewhere, unknown) ? elsewhere[unknown] : undefined
      const names = Object.keys(declarations)
      return yield* Either.left(
        new UsageError({
          reason: "input",
          message:
            there === undefined ? `unknown input ${unknown}` : `${unknown} is an input of ${there} mode`,
          hint:
            there === undefined
              ? didYouMean(unknown, names, `inputs are ${names.join(", ")}`)
              : `leave it out, or choose that mode: --mode ${there}`,
          location: locationOf(unknown)
        })
      )
    }
    const sourceOf = (
      name: string,
      { default: fallback, env, type }: InputDeclaration
    ): Source | undefined => {
      const value = Object.hasOwn(given, name) ? given[name] : undefined
      if (value !== undefined) {
        const location = locationOf(name)
        return {
          value,
          location,
          inDocument: location !== undefined,
          absolute: (path) => absolute.given(path, location)
        }
      }
      const text = env !== undefined && Object.hasOwn(environment, env) ? environment[env] : undefined
      if (text !== undefined && text !== "") {
        return {
          value: type === "secret" ? `env:${env}` : text,
          inDocument: false,
          from: `from ${env}`,
          absolute: (path) => absolute.given(path, undefined)
        }
      }
      return fallback === undefined
        ? undefined
        : {
            value: fallback,
            inDocument: true,
            from: "its default",
            absolute: (path) => absolute.profile(path, name)
          }
    }
    const values: Array<readonly [string, unknown]> = []
    const secrets: Array<readonly [string, string]> = []
    for (const [name, declared] of Object.entries(declarations)) {
      const source = sourceOf(name, declared)
      if (source === undefined) {
        if (declared.required === true && declared.type === "secret" && asks) {
          secrets.push([name, prompt])
        } else if (declared.required === true) {
          const how = declared.type === "secret" ? `-i ${name}=env:NAME or -i ${name}=@FILE` : `-i ${name}=…`
          return yield* Either.left(
            new UsageError({
              reason: "input",
              message: `input ${name} is missing`,
              hint: `give it: ${how}${declared.description === undefined ? "" : ` (${declared.description})`}`
            })
          )
        }
        continue
      }
      const value = yield* read(name, declared, source)
      if (declared.type === "secret") secrets.push([name, String(value)])
      else values.push([name, value])
    }
    return { values: Object.fromEntries(values), secrets: Object.fromEntries(secrets) }
  })

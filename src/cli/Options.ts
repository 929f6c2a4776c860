/**
 * Options of the command line. All are made here, so that `Arguments.ts` knows which of them take a value.
 */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { didYouMean } from "../domain/Nearest.js"
import { parseDuration } from "../domain/Units.js"
import { type Format, formats } from "./Printer.js"

/** What `Arguments.ts` needs to know about a flag. */
export interface Flag {
  readonly takesValue: boolean
  readonly repeats?: boolean
  /** Returns a hint if the flag does not take this value. */
  readonly refuses?: (value: string) => string | undefined
}

const oneOf = (choices: ReadonlyArray<string>): Flag => ({
  takesValue: true,
  refuses: (value) =>
    choices.includes(value) ? undefined : didYouMean(value, choices, `it takes ${choices.join(", ")}`)
})

/** All flags, by name and by alias. */
export const flags = new Map<string, Flag>()

const know = (name: string, known: Flag, alias?: string) => {
  flags.set(`--${name}`, known)
  if (alias !== undefined) flags.set(`-${alias}`, known)
}

// The flags of @effect/cli itself.
know("help", { takesValue: false }, "h")
know("version", { takesValue: false })
know("wizard", { takesValue: false })
know("completions", oneOf(["bash", "fish", "sh", "zsh"]))
know("log-level", oneOf(["all", "trace", "debug", "info", "warning", "error", "fatal", "none"]))

const aliased = <A>(option: Options.Options<A>, alias: string | undefined) =>
  alias === undefined ? option : Options.withAlias(option, alias)

export const text = (name: string, description: string, alias?: string): Options.Options<string> => {
  know(name, { takesValue: true }, alias)
  return aliased(Options.text(name), alias).pipe(Options.withDescription(description))
}

/** An option that may be repeated. */
export const texts = (
  name: string,
  description: string,
  alias?: string
): Options.Options<ReadonlyArray<string>> => {
  know(name, { takesValue: true, repeats: true }, alias)
  return aliased(Options.text(name), alias).pipe(Options.withDescription(description), Options.repeated)
}

export const flag = (name: string, description: string, alias?: string): Options.Options<boolean> => {
  know(name, { takesValue: false }, alias)
  return aliased(Options.boolean(name), alias).pipe(Options.withDescription(description))
}

export const choice = <const A extends ReadonlyArray<string>>(
  name: string,
  choices: A,
  description: string,
  alias?: string
): Options.Options<A[number]> => {
  know(name, oneOf(choices), alias)
  return aliased(Options.choice(name, choices), alias).pipe(Options.withDescription(description))
}

export const integer = (name: string, description: string): Options.Options<number> => {
  know(name, {
    takesValue: true,
    refuses: (value) => (/^-?\d+$/.test(value) ? undefined : "it takes a whole number")
  })
  return Options.integer(name).pipe(Options.withDescription(description))
}

/** A duration, in seconds. */
export const duration = (name: string, description: string): Options.Options<number> =>
  text(name, description).pipe(
    Options.mapEffect((given) =>
      Effect.mapError(parseDuration(given), (expected) =>
        ValidationError.invalidValue(HelpDoc.p(`--${name}: got ${JSON.stringify(given)}, takes ${expected}`))
      )
    )
  )

export const optional = <A>(option: Options.Options<A>): Options.Options<A | undefined> =>
  Options.map(Options.optional(option), Option.getOrUndefined)

export const output: Options.Options<Format> = Options.all({
  format: optional(choice("output", formats, "How data is printed", "o")),
  json: flag("json", "Short for -o json"),
  quiet: flag("quiet", "Print ids alone", "q")
}).pipe(Options.map(({ format, json, quiet }) => format ?? (json ? "json" : quiet ? "name" : "table")))

const progressModes = ["auto", "tty", "plain", "json", "none"] as const
export type ProgressMode = (typeof progressModes)[number]
export const progress = choice("progress", progressModes, "How progress is shown, on stderr").pipe(
  Options.withDefault("auto" as const)
)

/** Options of every verb, which may also stand before it. */
export const globals = {
  profiles: optional(text("profiles", "A folder of profiles that is looked in first")),
  config: optional(text("config", "The configuration file")),
  noColor: flag("no-color", "Print without colours")
}

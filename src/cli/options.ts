/**
 * Options of the command line. Each is made here, so that it is known which take a value: `argv.ts` puts words in the
 * order that @effect/cli reads them in.
 */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parseDuration } from "../domain/Units.js"

/** Flags that are known, and whether a value follows; aliases too. */
export const flags = new Map<string, { readonly takesValue: boolean }>([
  ["--help", { takesValue: false }],
  ["-h", { takesValue: false }],
  ["--version", { takesValue: false }],
  ["--completions", { takesValue: true }],
  ["--log-level", { takesValue: true }],
  ["--wizard", { takesValue: false }]
])

const know = (name: string, takesValue: boolean, alias?: string) => {
  flags.set(`--${name}`, { takesValue })
  if (alias !== undefined) flags.set(`-${alias}`, { takesValue })
}

const aliased = <A>(option: Options.Options<A>, alias: string | undefined) =>
  alias === undefined ? option : Options.withAlias(option, alias)

export const text = (name: string, description: string, alias?: string): Options.Options<string> => {
  know(name, true, alias)
  return aliased(Options.text(name), alias).pipe(Options.withDescription(description))
}

export const flag = (name: string, description: string, alias?: string): Options.Options<boolean> => {
  know(name, false, alias)
  return aliased(Options.boolean(name), alias).pipe(Options.withDescription(description))
}

export const choice = <const A extends ReadonlyArray<string>>(
  name: string,
  choices: A,
  description: string,
  alias?: string
): Options.Options<A[number]> => {
  know(name, true, alias)
  return aliased(Options.choice(name, choices), alias).pipe(Options.withDescription(description))
}

export const integer = (name: string, description: string): Options.Options<number> => {
  know(name, true)
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

/** How data is printed. */
export const formats = ["table", "json", "yaml", "name", "ndjson"] as const
export type Format = (typeof formats)[number]

export const output: Options.Options<Format> = Options.all({
  format: optional(choice("output", formats, "How data is printed", "o")),
  json: flag("json", "Short for -o json"),
  quiet: flag("quiet", "Print ids alone", "q")
}).pipe(Options.map(({ format, json, quiet }) => format ?? (json ? "json" : quiet ? "name" : "table")))

export const progressModes = ["auto", "tty", "plain", "json", "none"] as const
export const progress = choice("progress", progressModes, "How progress is shown, on stderr").pipe(
  Options.withDefault("auto" as const)
)

/** Options of every verb; `argv.ts` reads them wherever they stand. */
export const globals = {
  profiles: optional(text("profiles", "A folder of profiles that is looked in first")),
  config: optional(text("config", "The configuration file")),
  noColor: flag("no-color", "Print without colours")
}

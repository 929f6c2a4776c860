/**
 * Puts the words of a command line, which may be in any order, into the one that @effect/cli needs: global options, the
 * verb, its flags, its arguments.
 */
import * as Either from "effect/Either"
import { UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import { type Flag, flags } from "./Options.js"

/** Global options, which the layers are made from. */
export interface Globals {
  readonly profiles?: string
  readonly config?: string
  readonly noColor: boolean
  readonly debug: boolean
}

export interface Arguments {
  readonly globals: Globals
  readonly words: ReadonlyArray<string>
}

/** Verbs, and the verbs below each. */
export type Verbs = Readonly<Record<string, ReadonlyArray<string>>>

const globalFlags = ["--profiles", "--config", "--no-color"]

const usage = (message: string, hint: string) => new UsageError({ reason: "usage", message, hint })

/** Sorts the words that follow the program's name. */
export const parse = (argv: ReadonlyArray<string>, verbs: Verbs): Either.Either<Arguments, UsageError> =>
  Either.gen(function* () {
    // `--log-level` comes first: @effect/cli finds it nowhere else.
    const level: Array<string> = []
    const global: Array<string> = []
    const flagged: Array<string> = []
    const operands: Array<string> = []
    const given = new Set<Flag>()
    let literal = false
    for (let at = 0; at < argv.length; at++) {
      const word = argv[at] ?? ""
      if (literal || word === "-" || !word.startsWith("-")) {
        operands.push(word)
        continue
      }
      if (word === "--") {
        literal = true
        continue
      }
      const equals = word.startsWith("--") ? word.indexOf("=") : -1
      const name = equals === -1 ? word : word.slice(0, equals)
      const known = flags.get(name)
      if (known === undefined) {
        return yield* Either.left(
          usage(
            `unknown option ${name}`,
            didYouMean(name, flags.keys(), "`sandboxer --help` shows what there is")
          )
        )
      }
      // A repeated flag is harmless; of two values one would be lost.
      if (given.has(known) && known.repeats !== true) {
        if (!known.takesValue) continue
        return yield* Either.left(usage(`${name} is given twice`, "give it once"))
      }
      given.add(known)
      const into = name === "--log-level" ? level : globalFlags.includes(name) ? global : flagged
      const next = argv[at + 1]
      if (!known.takesValue) {
        if (equals !== -1) {
          return yield* Either.left(usage(`${name} takes no value`, `write ${name} alone, or leave it out`))
        }
        into.push(name)
        continue
      }
      if (equals === -1 && (next === undefined || flags.has(next))) {
        return yield* Either.left(usage(`${name} needs a value`, `write it behind: ${name} VALUE`))
      }
      const value = equals === -1 ? (next ?? "") : word.slice(equals + 1)
      if (equals === -1) at++
      const hint = known.refuses?.(value)
      if (hint !== undefined) {
        return yield* Either.left(usage(`${name}: got ${JSON.stringify(value)}`, hint))
      }
      into.push(name, value)
    }
    const [verb, below] = operands
    const path: Array<string> = []
    if (verb !== undefined) {
      const inner = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
      if (inner === undefined) {
        return yield* Either.left(
          usage(
            `unknown command ${verb}`,
            didYouMean(verb, Object.keys(verbs), "`sandboxer --help` shows what there is")
          )
        )
      }
      path.push(verb)
      if (inner.length > 0) {
        if (below !== undefined && !inner.includes(below)) {
          return yield* Either.left(
            usage(
              `unknown command ${verb} ${below}`,
              didYouMean(below, inner, `it takes ${inner.join(", ")}`)
            )
          )
        }
        if (below !== undefined) path.push(below)
      }
    }
    const rest = operands.slice(path.length)
    const valueOf = (name: string) => {
      const at = global.lastIndexOf(name)
      return at === -1 ? undefined : global[at + 1]
    }
    const [profiles, config] = [valueOf("--profiles"), valueOf("--config")]
    return {
      globals: {
        ...(profiles === undefined ? {} : { profiles }),
        ...(config === undefined ? {} : { config }),
        noColor: global.includes("--no-color"),
        debug: /^(debug|trace|all)$/i.test(level.at(-1) ?? "")
      },
      // With --help, the other words may be wrong.
      words: flagged.some((word) => word === "--help" || word === "-h")
        ? [...path, "--help"]
        : [
            ...level,
            ...global,
            ...path,
            ...flagged,
            ...(rest.some((word) => word.startsWith("-")) ? ["--"] : []),
            ...rest
          ]
    }
  })

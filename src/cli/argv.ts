/**
 * Puts the words of a command line in the order that @effect/cli reads them in: global options, the verb, its flags,
 * its arguments. People write them in any order.
 */
import * as Either from "effect/Either"
import { UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import { flags } from "./options.js"

/** Global options that decide which layers there are. */
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

const globalFlags = ["--profiles", "--config", "--no-color", "--log-level"]

const usage = (message: string, hint: string) => new UsageError({ reason: "usage", message, hint })

/** Words behind the program's name, in order. */
export const parse = (argv: ReadonlyArray<string>, verbs: Verbs): Either.Either<Arguments, UsageError> =>
  Either.gen(function* () {
    const global: Array<string> = []
    const flagged: Array<string> = []
    const operands: Array<string> = []
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
      const into = globalFlags.includes(name) ? global : flagged
      if (!known.takesValue) {
        into.push(name)
      } else if (equals !== -1) {
        into.push(name, word.slice(equals + 1))
      } else if (at + 1 < argv.length) {
        at++
        into.push(name, argv[at] ?? "")
      } else {
        return yield* Either.left(usage(`${name} needs a value`, `write it behind: ${name} VALUE`))
      }
    }
    const [verb, below] = operands
    const path: Array<string> = []
    if (verb !== undefined) {
      const inner = verbs[verb]
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
        debug: /^(debug|trace|all)$/i.test(valueOf("--log-level") ?? "")
      },
      words: [
        ...global,
        ...path,
        ...flagged,
        ...(rest.some((word) => word.startsWith("-")) ? ["--"] : []),
        ...rest
      ]
    }
  })

import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as HostChecks from "../../doctor/HostChecks.js"
import type { Check } from "../../domain/Check.js"
import { UsageError } from "../../domain/Errors.js"
import { didYouMean } from "../../domain/Nearest.js"
import { type Ending, end, failed, ofError } from "../ExitCode.js"
import * as options from "../Options.js"
import { type Kind, printList } from "../Printer.js"
import { all } from "./list.js"

interface HostCheck extends Check {
  readonly host: string
}

const checks: Kind<HostCheck> = {
  kind: "HostCheck",
  document: ({ detail, hint, host, name, status }) => ({ host, name, status, detail, hint }),
  name: ({ host, name }) => `${host}/${name}`,
  columns: [
    ["host", ({ host }) => host],
    ["status", ({ status }) => status],
    ["check", ({ name }) => name],
    ["detail", ({ detail, hint }) => (hint === null ? detail : `${detail}\n  hint: ${hint}`)]
  ]
}

const wanted = (names: ReadonlyArray<string>) =>
  Effect.flatMap(all, (found) =>
    Effect.forEach(names.length === 0 ? found.map(({ name }) => name) : names, (name) =>
      found.some((one) => one.name === name)
        ? Effect.succeed(name)
        : new UsageError({
            reason: "usage",
            message: `no host is called ${name}`,
            hint: didYouMean(
              name,
              found.map((one) => one.name),
              "`sandboxer host list` shows all; the configuration's `hosts` names them"
            )
          })
    )
  )

/** The checks of a host, and the ending of the command if the host cannot be reached. */
const lookAt = (host: string) =>
  HostChecks.check({ host }).pipe(
    Effect.map((found) => ({ found: found.map((one): HostCheck => ({ ...one, host })), ending: undefined })),
    Effect.catchAll((error) =>
      Effect.succeed({
        found: [
          { host, name: "reach", status: "missing", detail: error.message, hint: error.hint } as HostCheck
        ],
        ending: ofError(error) as Ending | undefined
      })
    )
  )

export const check = Command.make(
  "check",
  {
    names: Args.text({ name: "NAME" }).pipe(
      Args.withDescription("A host's name; all hosts where none is given"),
      Args.repeated
    ),
    output: options.output
  },
  ({ names, output }) =>
    Effect.gen(function* () {
      const looked = yield* Effect.forEach(yield* wanted(names), lookAt, { concurrency: 8 })
      yield* printList(
        output,
        checks,
        looked.flatMap(({ found }) => found)
      )
      const unreached = looked.find(({ ending }) => ending !== undefined)?.ending
      if (unreached !== undefined) return yield* end(unreached)
      const lacking = looked.flatMap(({ found }) =>
        found.flatMap(({ host, name, status }) => (status === "missing" ? [`${name} on ${host}`] : []))
      )
      if (lacking.length === 0) return
      yield* end(
        failed(
          15,
          `what is needed is missing: ${lacking.join(", ")}`,
          "each check above says what to do about it"
        )
      )
    })
).pipe(Command.withDescription("Check that hosts can be reached, and have what provisions need there"))

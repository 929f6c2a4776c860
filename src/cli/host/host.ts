import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as HostChecks from "../../doctor/HostChecks.js"
import type { Check } from "../../domain/Check.js"
import { UsageError } from "../../domain/Errors.js"
import { didYouMean } from "../../domain/Nearest.js"
import type { Connection } from "../../domain/Placement.js"
import { Settings } from "../../settings/Settings.js"
import { Ended, type Ending, ofError } from "../ExitCode.js"
import * as options from "../Options.js"
import { type Kind, printList } from "../Printer.js"
import { sayAll } from "../say.js"

interface Listed {
  readonly name: string
  /** Null for this machine. */
  readonly connection: Connection | null
  readonly slots: number | undefined
  readonly from: string
}

const addressOf = ({ connection }: Listed) =>
  connection === null
    ? "this machine"
    : [
        connection.user === null ? "" : `${connection.user}@`,
        connection.host,
        connection.port === null ? "" : `:${connection.port}`
      ].join("")

const hosts: Kind<Listed> = {
  kind: "Host",
  document: ({ connection, from, name, slots }) => ({
    name,
    host: connection?.host ?? null,
    port: connection?.port ?? null,
    user: connection?.user ?? null,
    identityFile: connection?.identityFile ?? null,
    slots: slots ?? null,
    from
  }),
  name: ({ name }) => name,
  columns: [
    ["name", ({ name }) => name],
    ["address", addressOf],
    ["slots", ({ slots }) => (slots === undefined ? "-" : String(slots))],
    ["from", ({ from }) => from]
  ]
}

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

/** This machine first, then those of the configuration. */
const all = Effect.map(Settings, ({ hosts: named, sources }): ReadonlyArray<Listed> => {
  const from = sources.find(({ key }) => key === "hosts")?.from ?? "default"
  return [
    { name: "local", connection: null, slots: named.local?.slots, from: named.local ? from : "default" },
    ...Object.entries(named)
      .filter(([name]) => name !== "local")
      .map(([name, { connection, slots }]) => ({ name, connection, slots, from }))
  ]
})

const list = Command.make("list", { output: options.output }, ({ output }) =>
  Effect.flatMap(all, (found) => printList(output, hosts, found))
).pipe(Command.withDescription("List the hosts that a profile's placement can name"))

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

/** What was found, and how the command ends for it where it does not end well. */
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

const check = Command.make(
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
      const failed = looked.find(({ ending }) => ending !== undefined)?.ending
      if (failed !== undefined) {
        yield* sayAll(failed.message)
        return yield* new Ended({ exitCode: failed.exitCode })
      }
      const lacking = looked.flatMap(({ found }) =>
        found.flatMap(({ host, name, status }) => (status === "missing" ? [`${name} on ${host}`] : []))
      )
      if (lacking.length === 0) return
      yield* sayAll([
        `error: what is needed is missing: ${lacking.join(", ")}`,
        "hint: each check above says what to do about it"
      ])
      return yield* new Ended({ exitCode: 15 })
    })
).pipe(Command.withDescription("Check that hosts can be reached, and have what provisions need there"))

export const host = Command.make("host").pipe(
  Command.withDescription("Machines that sandboxes are provisioned on"),
  Command.withSubcommands([list, check])
)

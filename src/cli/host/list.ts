import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import type { Connection } from "../../domain/Placement.js"
import { Settings } from "../../settings/Settings.js"
import * as options from "../Options.js"
import { type Kind, printList } from "../Printer.js"

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

/** All hosts: this machine, then those of the configuration. */
export const all = Effect.map(Settings, ({ hosts: named, sources }): ReadonlyArray<Listed> => {
  const from = sources.find(({ key }) => key === "hosts")?.from ?? "default"
  return [
    { name: "local", connection: null, slots: named.local?.slots, from: named.local ? from : "default" },
    ...Object.entries(named)
      .filter(([name]) => name !== "local")
      .map(([name, { connection, slots }]) => ({ name, connection, slots, from }))
  ]
})

export const list = Command.make("list", { output: options.output }, ({ output }) =>
  Effect.flatMap(all, (found) => printList(output, hosts, found))
).pipe(Command.withDescription("List the hosts that a profile's placement can name"))

/** Printing data: to stdout, in the format that was asked for. */
import { stripVTControlCharacters } from "node:util"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { stringify } from "yaml"
import { Artifact } from "../domain/Artifact.js"
import { type Profile, ProfileDocument } from "../domain/Profile.js"
import { ProgressEvent } from "../domain/ProgressEvent.js"
import { Sandbox } from "../domain/Sandbox.js"
import type { ExplainedInput } from "../recipe/ProfileMode.js"
import type { Format } from "./Options.js"

export const apiVersion = "sandboxer/v1"

/** What a terminal would act on, taken out of a text that a guest may have written. */
export const printable = (text: string): string =>
  stripVTControlCharacters(text).replaceAll(/(?![\t\n])\p{Cc}/gu, "")

/** A kind of thing that is printed: its document, its name, its row in a table. */
export interface Kind<A> {
  readonly kind: string
  readonly document: (value: A) => Readonly<Record<string, unknown>>
  readonly name: (value: A) => string
  readonly columns: ReadonlyArray<readonly [title: string, cell: (value: A) => string]>
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, (row[column] ?? "").length), 0)
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd((widths[column] ?? 0) + 2)))
        .join("")
    )
    .join("\n")
}

/** A field's rows: one for each line of its text, none where there is nothing to say. */
const field = (title: string, text: string): ReadonlyArray<ReadonlyArray<string>> =>
  text === "-" ? [] : text.split("\n").map((line, index) => [index === 0 ? title : "", line])

/** One document, as `-o` has it; a table is a row a field. */
export const printOne = <A>(format: Format, kind: Kind<A>, value: A): Effect.Effect<void> => {
  const document = { apiVersion, kind: kind.kind, ...kind.document(value) }
  switch (format) {
    case "json":
      return Console.log(JSON.stringify(document, null, 2))
    case "ndjson":
      return Console.log(JSON.stringify(document))
    case "yaml":
      return Console.log(stringify(document).trimEnd())
    case "name":
      return Console.log(kind.name(value))
    case "table":
      return Console.log(table(kind.columns.flatMap(([title, cell]) => field(title, printable(cell(value))))))
  }
}

/** A row: only its last cell may have several lines. */
const row = (cells: ReadonlyArray<string>): ReadonlyArray<string> =>
  cells.map((cell, column) =>
    column === cells.length - 1 ? cell.trimEnd() : cell.trim().replaceAll(/\s+/g, " ")
  )

/** A list of documents, as `-o` has it. */
export const printList = <A>(
  format: Format,
  kind: Kind<A>,
  values: ReadonlyArray<A>
): Effect.Effect<void> => {
  const documents = values.map((value) => kind.document(value))
  const list = { apiVersion, kind: `${kind.kind}List`, items: documents }
  switch (format) {
    case "json":
      return Console.log(JSON.stringify(list, null, 2))
    case "ndjson":
      return Effect.forEach(
        documents,
        (document) => Console.log(JSON.stringify({ apiVersion, kind: kind.kind, ...document })),
        { discard: true }
      )
    case "yaml":
      return Console.log(stringify(list).trimEnd())
    case "name":
      return Effect.forEach(values, (value) => Console.log(kind.name(value)), { discard: true })
    case "table":
      return Console.log(
        table([
          kind.columns.map(([title]) => title.toUpperCase()),
          ...values.map((value) => row(kind.columns.map(([, cell]) => printable(cell(value)))))
        ])
      )
  }
}

const time = (value: DateTime.Utc | null) =>
  value === null ? "-" : DateTime.formatIso(value).slice(0, 19).concat("Z")

export const sandboxes: Kind<Sandbox> = {
  kind: "Sandbox",
  document: (sandbox) => Schema.encodeSync(Sandbox)(sandbox),
  name: ({ id }) => id,
  columns: [
    ["name", ({ name }) => name],
    ["id", ({ id }) => id],
    ["state", ({ state }) => state],
    ["phase", ({ phase, state }) => (state === "provisioning" ? (phase?.name ?? "-") : "-")],
    ["profile", ({ profile }) => profile],
    ["created", ({ createdAt }) => time(createdAt)]
  ]
}

/** "in 3 d", "in 5 h", "in 12 min": rounded down, so that nothing ends earlier than it says. */
const fromNow = (until: DateTime.Utc, now: DateTime.Utc): string => {
  const seconds = Math.floor((DateTime.toEpochMillis(until) - DateTime.toEpochMillis(now)) / 1000)
  if (seconds <= 0) return "now"
  if (seconds < 60) return `in ${seconds} s`
  if (seconds < 3600) return `in ${Math.floor(seconds / 60)} min`
  return seconds < 2 * 86_400 ? `in ${Math.floor(seconds / 3600)} h` : `in ${Math.floor(seconds / 86_400)} d`
}

/** Sandboxes in a list that is made at a time. */
export const sandboxesAt = (now: DateTime.Utc): Kind<Sandbox> => ({
  ...sandboxes,
  columns: [
    ...sandboxes.columns,
    ["expires", ({ expiresAt }) => (expiresAt === null ? "-" : fromNow(expiresAt, now))]
  ]
})

/** Why it is still there, and when it ends. */
const life = ({ expiresAt, state }: Sandbox): string => {
  const end = time(expiresAt)
  switch (state) {
    case "requested":
    case "provisioning":
      return "until its provision has ended"
    case "ready":
      return expiresAt === null ? "until it is destroyed" : `until ${end}, unless it is renewed or used`
    case "destroying":
      return "until what it has on its machine is removed"
    default:
      return expiresAt === null ? "its record is kept" : `its record and its log go after ${end}`
  }
}

/** A sandbox with all that a person asks of it. */
export const sandboxInFull: Kind<Sandbox> = {
  ...sandboxes,
  columns: [
    ...sandboxes.columns,
    ["mode", ({ extension, mode }) => `${mode} (${extension})`],
    ["host", ({ placement }) => placement.host],
    ["ready", ({ readyAt }) => time(readyAt)],
    ["ended", ({ endedAt }) => time(endedAt)],
    ["lives", life],
    ["artifacts", ({ artifacts }) => artifacts.map(({ path }) => path).join(", ") || "-"],
    ["log", ({ logPath }) => logPath ?? "-"],
    ["failure", ({ failure }) => (failure === null ? "-" : `${failure.reason}: ${failure.message}`)],
    ["hint", ({ failure }) => failure?.hint ?? "-"]
  ]
}

export const events: Kind<ProgressEvent> = {
  kind: "Event",
  document: (event) => Schema.encodeSync(ProgressEvent)(event),
  name: ({ id }) => id,
  columns: [
    ["time", ({ time: at }) => time(at)],
    ["sandbox", ({ sandboxId }) => sandboxId],
    ["seq", ({ seq }) => String(seq)],
    ["type", ({ type }) => type],
    ["phase", ({ phase }) => phase ?? "-"],
    ["message", ({ message }) => message.split("\n")[0] ?? ""]
  ]
}

/** An artifact and the sandbox that made it. */
export interface MadeArtifact {
  readonly artifact: Artifact
  readonly sandbox: Sandbox
}

export const artifacts: Kind<MadeArtifact> = {
  kind: "Artifact",
  document: ({ artifact, sandbox }) => ({
    ...Schema.encodeSync(Artifact)(artifact),
    sandboxId: sandbox.id,
    sandboxName: sandbox.name
  }),
  name: ({ artifact }) => artifact.id,
  columns: [
    ["name", ({ artifact }) => artifact.name],
    ["id", ({ artifact }) => artifact.id],
    ["sandbox", ({ sandbox }) => sandbox.name],
    ["format", ({ artifact }) => artifact.format],
    ["bytes", ({ artifact }) => String(artifact.sizeBytes)],
    ["primary", ({ artifact }) => (artifact.primary ? "yes" : "no")],
    ["path", ({ artifact }) => artifact.path]
  ]
}

export const profiles: Kind<Profile> = {
  kind: "Profile",
  document: ({ document, file, origin }) => ({
    ...Schema.encodeSync(ProfileDocument)(document),
    file,
    origin
  }),
  name: ({ document }) => document.id,
  columns: [
    ["id", ({ document }) => document.id],
    ["mode", ({ document }) => document.mode ?? "-"],
    ["from", ({ origin }) => origin],
    ["description", ({ document }) => document.description ?? ""]
  ]
}

const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value))

/** What a value of an input is held against. */
const takes = ({ choices, pattern }: ExplainedInput["declaration"]) =>
  [...(choices === undefined ? [] : [choices.join(" | ")]), ...(pattern === undefined ? [] : [pattern])].join(
    ", "
  )

const mustBeGiven = ({ default: fallback, required }: ExplainedInput["declaration"]) =>
  required === true && fallback === undefined

export const inputs: Kind<ExplainedInput> = {
  kind: "Input",
  document: ({ declaration, from, name }) => ({
    name,
    type: declaration.type,
    items: declaration.items ?? null,
    required: mustBeGiven(declaration),
    default: declaration.default ?? null,
    env: declaration.env ?? null,
    pattern: declaration.pattern ?? null,
    choices: declaration.choices ?? null,
    variable: declaration.variable === true,
    description: declaration.description ?? null,
    from
  }),
  name: ({ name }) => name,
  columns: [
    ["name", ({ name }) => name],
    ["type", ({ declaration }) => declaration.type],
    ["required", ({ declaration }) => (mustBeGiven(declaration) ? "yes" : "no")],
    ["default", ({ declaration }) => (declaration.default === undefined ? "-" : text(declaration.default))],
    ["env", ({ declaration }) => declaration.env ?? "-"],
    ["takes", ({ declaration }) => takes(declaration) || "-"],
    ["from", ({ from }) => from.map(({ id }) => id).join(", ")],
    ["description", ({ declaration }) => declaration.description ?? ""]
  ]
}

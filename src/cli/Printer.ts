/** Printing: data to stdout, in the format that was asked for; lines for a person to stderr. */
import { stripVTControlCharacters } from "node:util"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { stringify } from "yaml"

const apiVersion = "sandboxer/v1"

/** What `-o` takes. */
export const formats = ["table", "json", "yaml", "name", "ndjson"] as const
export type Format = (typeof formats)[number]

/** Removes from a text, which a guest may have written, what a terminal would act on. */
export const printable = (text: string): string =>
  stripVTControlCharacters(text).replaceAll(/(?![\t\n])\p{Cc}/gu, "")

/** A kind of data, and how it is printed. */
export interface Kind<A> {
  readonly kind: string
  /** What `-o json`, `yaml` and `ndjson` print, besides `apiVersion` and `kind`. */
  readonly document: (value: A) => Readonly<Record<string, unknown>>
  /** What `-o name` prints. */
  readonly name: (value: A) => string
  /** What `-o table` prints; a cell of `-` is empty. */
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

/** A time in a table: to the second, `-` where there is none. */
export const time = (value: DateTime.Utc | null): string =>
  value === null ? "-" : DateTime.formatIso(value).slice(0, 19).concat("Z")

/** The rows of a field: one for each line of its text, none if it is empty. */
const field = (title: string, text: string): ReadonlyArray<ReadonlyArray<string>> =>
  text === "-" ? [] : text.split("\n").map((line, index) => [index === 0 ? title : "", line])

/** Prints one value. Its table has a row for each field. */
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

/** The cells of a row. Only the last one may have several lines. */
const row = (cells: ReadonlyArray<string>): ReadonlyArray<string> =>
  cells.map((cell, column) =>
    column === cells.length - 1 ? cell.trimEnd() : cell.trim().replaceAll(/\s+/g, " ")
  )

/** Prints a list of values. Its table has a row for each value. */
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

/** Prints one value now, as one of many that are printed as they come: a line, or a document of its own. */
export const printEach = <A>(format: Format, kind: Kind<A>, value: A): Effect.Effect<void> => {
  const line = () => kind.columns.map(([, cell]) => cell(value)).join("  ")
  return format === "table"
    ? printOne("name", { ...kind, name: line }, value)
    : printOne(format === "json" ? "ndjson" : format, kind, value)
}

/** Writes lines for a person to stderr, since stdout is for data. */
export const report = (...lines: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.sync(() => {
    for (const line of lines) process.stderr.write(`${line}\n`)
  })

import * as Wire from "./Wire.js"

/** A variable that a template declares. Its default is dropped, as Packer prints those of sensitive variables too. */
export interface TemplateVariable {
  readonly name: string
  /** Whether it has a default. */
  readonly hasDefault: boolean
}

/** A build that a template declares, with its name in Packer's output. */
export interface TemplateBuild {
  readonly name: string
  readonly type: string
}

export interface Inspection {
  readonly variables: ReadonlyArray<TemplateVariable>
  /** In Packer's order, each name once. */
  readonly builds: ReadonlyArray<TemplateBuild>
}

/**
 * Parses the output of `packer inspect` for a JSON or HCL2 template, with `-machine-readable` or (HCL2 only) without.
 *
 * Limits of Packer's output: in 1.6.6, an HCL2 source that the build block renames has its old name here, and the new one
 * in the build's output; names in JSON templates may contain template functions (`{{user …}}`); a variable that the
 * environment or a variable file sets seems to have a default.
 */
export const parse = (output: string): Inspection => {
  const records = output.split("\n").map((line) => Wire.parse(line))
  const variables = records.flatMap((record) =>
    record._tag === "TemplateVariable" ? [{ name: record.name, hasDefault: !record.required }] : []
  )
  const builds = records.flatMap((record) =>
    record._tag === "TemplateBuilder" ? [{ name: record.name, type: record.type }] : []
  )
  // Only JSON templates have such records.
  return variables.length > 0 || builds.length > 0
    ? { variables, builds: unique(builds) }
    : parseHcl2(records)
}

/**
 * The value of a variable, or the start of the builds. A value is a quoted string of Go and is matched as a whole, since
 * it may contain what looks like another variable or section. Decoding has turned `\n` into line feeds, but left the
 * backslash before a quote.
 */
const valueOrBuilds = /^(?:(var|local)\.([^\s:]+): "([^"\\]*(?:\\[\s\S][^"\\]*)*)"$|> builds:$)/gm

const parseHcl2 = (records: ReadonlyArray<Wire.WireRecord>): Inspection => {
  const text = records
    .flatMap((record) => (record._tag === "Ui" || record._tag === "Text" ? [record.text] : []))
    .join("\n")
  const variables: Array<TemplateVariable> = []
  for (const match of text.matchAll(valueOrBuilds)) {
    const [, kind, name, value] = match
    if (name === undefined) {
      return { variables, builds: unique(parseBuilds(text.slice(match.index))) }
    }
    if (kind === "var") {
      variables.push({ name, hasDefault: value !== "<unknown>" })
    }
  }
  return { variables, builds: [] }
}

// A description is printed verbatim and may look like a list of sources, so the line after the list is matched too.
const buildBlock =
  /^ {2}> (.+):\n(?:\n {2}> Description: [\s\S]*?\n)?\n {4}sources:\n((?:\n {6}\S.*\n)+)\n {4}provisioners:$/gm

const parseBuilds = (tree: string): ReadonlyArray<TemplateBuild> =>
  [...tree.matchAll(buildBlock)].flatMap(([, build = "", sources = ""]) =>
    sources
      .split("\n")
      .map((source) => source.trim())
      .filter((source) => source.includes("."))
      .map((source) => ({
        name: /^<unnamed build \d+>$/.test(build) ? source : `${build}.${source}`,
        type: source.slice(0, source.indexOf("."))
      }))
  )

const unique = (builds: ReadonlyArray<TemplateBuild>): ReadonlyArray<TemplateBuild> =>
  builds.filter(({ name }, index) => builds.findIndex((build) => build.name === name) === index)

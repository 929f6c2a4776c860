import * as Wire from "./Wire.js"

/** A variable that a template declares. Its default is not kept, as Packer prints those of sensitive ones too. */
export interface TemplateVariable {
  readonly name: string
  /** Whether it has a value when none is given. */
  readonly hasDefault: boolean
}

/** A build that a template declares, by the name that Packer's output has for it. */
export interface TemplateBuild {
  readonly name: string
  readonly type: string
}

export interface Inspection {
  readonly variables: ReadonlyArray<TemplateVariable>
  /** In Packer's order; each name once. */
  readonly builds: ReadonlyArray<TemplateBuild>
}

/**
 * Reads what `packer inspect` of a JSON or HCL2 template printed, with `-machine-readable` or (HCL2 only) without.
 *
 * What Packer does not tell: on 1.6.6 an HCL2 source that the build block renames has its own name here, and the
 * new one in the build's output; names in JSON templates may be templates still (`{{user …}}`); a variable that the
 * environment or a var file sets seems to have a default.
 */
export const parse = (output: string): Inspection => {
  const records = output.split("\n").map((line) => Wire.parse(line))
  const variables = records.flatMap((record) =>
    record._tag === "TemplateVariable" ? [{ name: record.name, hasDefault: !record.required }] : []
  )
  const builds = records.flatMap((record) =>
    record._tag === "TemplateBuilder" ? [{ name: record.name, type: record.type }] : []
  )
  // Only a JSON template has such records.
  return variables.length > 0 || builds.length > 0
    ? { variables, builds: unique(builds) }
    : parseHcl2(records)
}

/**
 * A variable's value, or where the builds begin. Values are quoted strings of Go, and are passed over as a whole: a
 * default may hold what looks like another variable or section. Decoding turned their `\n` into line feeds, but a
 * backslash before a quote is still there.
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

// A description is printed as it is, so what follows the sources has to be there too.
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

/**
 * Writes docs/cli.md from `dist/bin.js VERB --help` of each verb.
 *
 *   node scripts/generate-cli-docs.js [FILE]    FILE defaults to docs/cli.md
 */
import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { promisify, stripVTControlCharacters } from "node:util"

const root = fileURLToPath(new URL("..", import.meta.url))

/** @param {ReadonlyArray<string>} verb */
const help = async (verb) => {
  const { stdout } = await promisify(execFile)(process.execPath, [`${root}dist/bin.js`, ...verb, "--help"])
  return sections(stripVTControlCharacters(stdout))
}

/**
 * The paragraphs below each heading. A heading is a line in capitals.
 * @param {string} text
 * @returns {Readonly<Record<string, ReadonlyArray<string>>>}
 */
const sections = (text) => {
  /** @type {Record<string, Array<string>>} */
  const found = {}
  let heading = ""
  for (const paragraph of text.trimEnd().split(/\n{2,}/)) {
    if (/^[A-Z]+$/.test(paragraph)) heading = paragraph
    else found[heading] = [...(found[heading] ?? []), paragraph]
  }
  return found
}

/** Sentences that the help repeats for every option of a kind; the table says the same. */
const boilerplate = [
  /^A user-defined piece of text\.$/,
  /^A true or false value\.$/,
  /^An integer\.$/,
  /^One of the following: /,
  /^This (setting|argument) is optional\.$/,
  /^This (option|argument) (may|must) be repeated /
]

/**
 * Options or arguments. Each begins with a paragraph that is not indented.
 * @param {ReadonlyArray<string>} paragraphs
 */
const entries = (paragraphs) => {
  /** @type {Array<{ term: string, says: Array<string> }>} */
  const found = []
  for (const paragraph of paragraphs) {
    if (paragraph.startsWith(" ")) found.at(-1)?.says.push(paragraph.trim())
    else found.push({ term: paragraph, says: [] })
  }
  return found.map(({ says, term }) => {
    const [, names = "", takes = ""] =
      /^\(?((?:-[\w-]+(?:, )?)+)(?: ([^)]*?))?\)?(?:\.\.\.)?$/.exec(term) ?? []
    return {
      // As in the usage line.
      term: term.replace(/ \d\+$/, "..."),
      names: names.split(", "),
      takes,
      optional: says.some((line) => /^This (setting|argument) is optional\.$/.test(line)),
      repeats: term.endsWith("..."),
      description: says
        .filter((line) => !boilerplate.some((known) => known.test(line)))
        .join(" ")
        .replace(/\.$/, "")
    }
  })
}
/** @typedef {ReturnType<typeof entries>[number]} Entry */

/** @param {string} text */
const cell = (text) => text.replaceAll("|", "\\|")

/**
 * @param {ReadonlyArray<string>} titles
 * @param {ReadonlyArray<ReadonlyArray<string>>} rows
 */
const table = (titles, rows) =>
  [titles, titles.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n")

/** @param {string} takes */
const values = (takes) =>
  takes === "" ? "" : takes.includes(" | ") ? takes.replaceAll(" | ", ", ") : takes.toUpperCase()

/** @param {ReadonlyArray<Entry>} options */
const optionTable = (options) =>
  table(
    ["option", "takes", "does"],
    options.map(({ description, names, optional, repeats, takes }) => [
      names.map((name) => `\`${name}\``).join(", "),
      values(takes),
      [description, ...(repeats ? ["any number of times"] : optional ? [] : ["required"])].join("; ")
    ])
  )

/** @param {string} verb */
const title = (verb) => `sandboxer ${verb}`

/** @param {string} verb */
const link = (verb) => `[\`${verb}\`](#${title(verb).replaceAll(" ", "-")})`

/**
 * The arguments and options of one verb.
 * @param {{ verb: string, description: string }} verb
 * @param {ReadonlyArray<string>} everywhere names of the options that every verb has
 */
const section = async ({ description, verb }, everywhere) => {
  const { ARGUMENTS = [], OPTIONS = [], USAGE = [] } = await help(verb.split(" "))
  const options = entries(OPTIONS).filter(({ names }) => !names.some((name) => everywhere.includes(name)))
  const operands = /((?: \[?<[^>]+>\]?(?:\.\.\.)?)*)$/.exec(USAGE[0] ?? "")?.[1] ?? ""
  const paragraphs = [
    `## ${title(verb)}`,
    `\`${title(verb)}${options.length > 0 ? " [options]" : ""}${operands}\``,
    `${description}.`
  ]
  const described = entries(ARGUMENTS).map(({ description, term }) => [`\`${term}\``, description])
  if (described.length > 0) paragraphs.push(table(["argument", "is"], described))
  if (options.length > 0) paragraphs.push(optionTable(options))
  return paragraphs.join("\n\n")
}

const { COMMANDS = [], OPTIONS: everywhere = [] } = await help([])
const verbs = COMMANDS.map((line) => {
  const [, verb = "", description = ""] =
    /^\s*- ([a-z-]+(?: [a-z-]+)*)(?: [[(<-].*?)?\s{2,}(\S.*)$/.exec(line) ?? []
  return { verb, description, short: /^Short for (.+)$/.exec(description)?.[1] }
})
const shared = entries(everywhere)
const names = shared.flatMap((option) => option.names)

// A verb that only groups others has no arguments of its own.
const leaves = verbs.filter(
  ({ short, verb }) => short === undefined && !verbs.some((other) => other.verb.startsWith(`${verb} `))
)
const parts = []
while (parts.length < leaves.length) {
  const next = leaves.slice(parts.length, parts.length + availableParallelism())
  parts.push(...(await Promise.all(next.map((verb) => section(verb, names)))))
}

const document = `# The command line

<!-- scripts/generate-cli-docs.js wrote this from the command's own help: \`make docs\` writes it again. -->

\`sandboxer VERB --help\` says the same as this. What the exit codes mean is in the [README](../README.md#verbs), what
\`-i KEY=VALUE\` takes in [profiles.md](profiles.md#inputs).

${table(
  ["verb", "does"],
  verbs
    .filter(({ short, verb }) => short !== undefined || leaves.some((leaf) => leaf.verb === verb))
    .map(({ description, short, verb }) =>
      short === undefined ? [link(verb), description] : [`\`${verb}\``, `short for ${link(short)}`]
    )
)}

An ID is a sandbox's id, the beginning of one, or its name. Options may stand before or behind arguments, and those of
every verb before the verb, too.

## Options of every verb

${optionTable(shared)}

${parts.join("\n\n")}
`
writeFileSync(process.argv[2] ?? `${root}docs/cli.md`, document)

/**
 * The hardware that an OVA's descriptor names, and no image tells: what the profile says, else what the template
 * does, else defaults. A template is read no further than this takes; what it computes is not found.
 */
import * as Schema from "effect/Schema"
import type { Hardware as ProfileHardware } from "../../../../domain/Profile.js"

/** What a descriptor names. `osType` is null where nobody told. */
export interface Hardware {
  readonly cpus: number
  readonly memoryMiB: number
  readonly firmware: "bios" | "efi"
  readonly nics: number
  readonly osType: string | null
}

/** What is told of a build's hardware: null where nobody did. `build` is null for a build that is not listed. */
export const ToldHardware = Schema.Struct({
  build: Schema.NullOr(Schema.String),
  cpus: Schema.NullOr(Schema.Number),
  memoryMiB: Schema.NullOr(Schema.Number),
  firmware: Schema.NullOr(Schema.Literal("bios", "efi")),
  nics: Schema.NullOr(Schema.Number),
  osType: Schema.NullOr(Schema.String)
})
export type ToldHardware = typeof ToldHardware.Type

/** A file of a template, or one with variables. */
export interface TextFile {
  readonly name: string
  readonly text: string
}

type Values = Readonly<Record<string, unknown>>

/** One `source` or builder of a template: `name` is the build's, as far as the template's author did not rename it. */
interface Block {
  readonly name: string
  readonly type: string
  readonly values: Values
  readonly text: string
}

interface Template {
  readonly blocks: ReadonlyArray<Block>
  readonly defaults: Values
}

const isPlain = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const parseJson = (text: string): Values => {
  try {
    const value: unknown = JSON.parse(text)
    return isPlain(value) ? value : {}
  } catch {
    // Packer says what is wrong with it.
    return {}
  }
}

const readJson = (text: string): Template => {
  const { builders, variables } = parseJson(text)
  const blocks = (Array.isArray(builders) ? builders : []).filter(isPlain).map((values) => ({
    name: String(values.name ?? values.type),
    type: String(values.type),
    values,
    text: JSON.stringify(values)
  }))
  return { blocks, defaults: isPlain(variables) ? variables : {} }
}

/** `name = value` on a line of its own, or alone in a block of one line; the value a text, a word or a number. */
const attribute =
  /^[ \t]*([A-Za-z_][\w-]*)[ \t]*=[ \t]*(?:"((?:[^"\\\n]|\\.)*)"|([\w.-]+))[ \t]*(?:(?:#|\/\/).*)?$/gm

const readAttributes = (body: string): Values =>
  Object.fromEntries(
    [...body.matchAll(attribute)].map(([, name = "", text, word]) => [name, text ?? word] as const)
  )

/** A block's body is one line, or ends at a brace that begins a line, as `packer fmt` writes it. */
const hclBlock = (header: string) =>
  new RegExp(`^[ \\t]*${header}[ \\t]*\\{(?:([^\\n{}]*)\\}|([\\s\\S]*?)^\\})`, "gm")
const hclSource = hclBlock('source[ \\t]+"([^"]+)"[ \\t]+"([^"]+)"')
const hclVariable = hclBlock('variable[ \\t]+"([^"]+)"')
const hclVariables = hclBlock("variables")

const readHcl = (written: string): Template => {
  const text = written.replaceAll(/^[ \t]*(?:#|\/\/).*$/gm, "")
  const blocks = [...text.matchAll(hclSource)].map(([, type = "", label, line, lines]) => {
    const body = line ?? lines ?? ""
    return { name: `${type}.${label}`, type, values: readAttributes(body), text: body }
  })
  const single = [...text.matchAll(hclVariable)].map(
    ([, name = "", line, lines]) => [name, readAttributes(line ?? lines ?? "").default] as const
  )
  const several = [...text.matchAll(hclVariables)].map(([, line, lines]) =>
    readAttributes(line ?? lines ?? "")
  )
  return { blocks, defaults: Object.assign({}, ...several, Object.fromEntries(single)) as Values }
}

const isJson = ({ name }: TextFile) => name.endsWith(".json")
// HCL2 as JSON nests otherwise: nothing is found in it.
const readTemplate = (file: TextFile) => (isJson(file) ? readJson(file.text) : readHcl(file.text))
const readVariables = (file: TextFile) => (isJson(file) ? parseJson(file.text) : readAttributes(file.text))

/** The name in `var.name`, `${var.name}` or `{{user `name`}}`. */
const reference = (value: unknown) =>
  /^(?:\$\{)?var\.([\w-]+)\}?$|^\{\{\s*user\s+[`'"]([^`'"]+)[`'"]\s*\}\}$/
    .exec(String(value))
    ?.slice(1)
    .find(Boolean)

const wholeNumber = (value: unknown) => (/^[1-9]\d{0,8}$/.test(String(value)) ? Number(value) : undefined)

/** Names that templates have for these variables, where no block uses them in a way that can be read. */
const memoryNames = ["memory", "vm_memory", "memory_mb", "memory_size", "ram", "mem"]
const cpuNames = ["cpus", "vm_cpus", "num_cpus", "cpu_count", "vcpus", "cpu"]

/** Builders whose machine is a BIOS machine with one network card, unless the template tells otherwise. */
const usual = /^(qemu|virtualbox|vmware)/

/** What the profile and a template tell; `variables` are the values that were given, later files win over earlier. */
export const readHardware = (options: {
  readonly profile: ProfileHardware | undefined
  readonly template: ReadonlyArray<TextFile>
  readonly variableFiles: ReadonlyArray<TextFile>
  readonly variables: Values
}): ReadonlyArray<ToldHardware> => {
  const templates = options.template.map(readTemplate)
  const values: Values = Object.assign(
    {},
    ...templates.map(({ defaults }) => defaults),
    ...options.variableFiles.map(readVariables),
    options.variables
  )
  const valueOf = (value: unknown) => {
    const name = reference(value)
    return name === undefined ? value : values[name]
  }
  const number = (block: Block | undefined, key: string, names: ReadonlyArray<string>) =>
    [valueOf(block?.values[key]), ...names.map((name) => values[name])].map(wholeNumber).find(Boolean) ?? null
  const firmware = ({ text, values: own }: Block) =>
    String(valueOf(own.efi_boot)) === "true" ||
    /efi/i.test(String(valueOf(own.firmware) ?? "")) ||
    /ovmf|edk2/i.test(text)
      ? ("efi" as const)
      : ("bios" as const)
  const profile = options.profile ?? {}
  const told = (build: string | null, block: Block | undefined): ToldHardware => {
    const osType = valueOf(block?.values.guest_os_type)
    const known = block !== undefined && usual.test(block.type)
    return {
      build,
      cpus: profile.cpus ?? number(block, "cpus", cpuNames),
      memoryMiB:
        profile.memory === undefined
          ? number(block, "memory", memoryNames)
          : Math.ceil(profile.memory / 1024 ** 2),
      firmware: profile.firmware ?? (known ? firmware(block) : null),
      nics: profile.nics ?? (known ? 1 : null),
      osType: profile.osType ?? (typeof osType === "string" ? osType : null)
    }
  }
  const blocks = templates.flatMap((template) => template.blocks)
  // A build that its template renamed is the one that there is.
  return [
    ...blocks.map((block) => told(block.name, block)),
    told(null, blocks.length === 1 ? blocks[0] : undefined)
  ]
}

/** A build's hardware, and what of it nobody told, in words. */
export const hardwareOf = (
  all: ReadonlyArray<ToldHardware>,
  build: string
): { readonly hardware: Hardware; readonly assumed: ReadonlyArray<string> } => {
  const told =
    all.find((one) => one.build === build || (one.build !== null && build.endsWith(`.${one.build}`))) ??
    all.find((one) => one.build === null)
  const hardware: Hardware = {
    cpus: told?.cpus ?? 1,
    memoryMiB: told?.memoryMiB ?? 1024,
    firmware: told?.firmware ?? "bios",
    nics: told?.nics ?? 1,
    osType: told?.osType ?? null
  }
  const words = {
    cpus: `${hardware.cpus} CPU`,
    memoryMiB: `${hardware.memoryMiB} MiB`,
    firmware: "BIOS",
    nics: `${hardware.nics} network card`
  }
  const keys = ["cpus", "memoryMiB", "firmware", "nics"] as const
  return { hardware, assumed: keys.filter((key) => (told?.[key] ?? null) === null).map((key) => words[key]) }
}

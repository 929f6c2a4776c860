/**
 * The hardware for the descriptor of an OVA, which an image does not contain: from the profile, else from the template,
 * else defaults. Only plain values of a template are found, no computed ones.
 */
import * as Schema from "effect/Schema"
import type { Hardware as ProfileHardware } from "../../../../domain/Profile.js"

/** Hardware of a descriptor. `osType` is null if it is unknown. */
export interface Hardware {
  readonly cpus: number
  readonly memoryMiB: number
  readonly firmware: "bios" | "efi"
  readonly nics: number
  readonly osType: string | null
}

/** Hardware that the profile and the template give for a build; null where they do not. `build` is null for any other build. */
export const GivenHardware = Schema.Struct({
  build: Schema.NullOr(Schema.String),
  cpus: Schema.NullOr(Schema.Number),
  memoryMiB: Schema.NullOr(Schema.Number),
  firmware: Schema.NullOr(Schema.Literal("bios", "efi")),
  nics: Schema.NullOr(Schema.Number),
  osType: Schema.NullOr(Schema.String)
})
export type GivenHardware = typeof GivenHardware.Type

/** A file of a template, or a variable file. */
export interface TextFile {
  readonly name: string
  readonly text: string
}

type Values = Readonly<Record<string, unknown>>

/** A `source` or builder of a template. `name` is that of its build, unless the template renames the build. */
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
    // Packer reports what is wrong with it.
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

/** `name = value` on its own line, or alone in a block of one line; the value is a string, a word or a number. */
const attribute =
  /^[ \t]*([A-Za-z_][\w-]*)[ \t]*=[ \t]*(?:"((?:[^"\\\n]|\\.)*)"|([\w.-]+))[ \t]*(?:(?:#|\/\/).*)?$/gm

const readAttributes = (body: string): Values =>
  Object.fromEntries(
    [...body.matchAll(attribute)].map(([, name = "", text, word]) => [name, text ?? word] as const)
  )

/** A block whose body is one line, or ends at a brace at the start of a line, as `packer fmt` writes it. */
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
// HCL2 in JSON has another structure: nothing is found in it.
const readTemplate = (file: TextFile) => (isJson(file) ? readJson(file.text) : readHcl(file.text))
const readVariables = (file: TextFile) => (isJson(file) ? parseJson(file.text) : readAttributes(file.text))

/** The name in `var.name`, `${var.name}` or `{{user `name`}}`. */
const reference = (value: unknown) =>
  /^(?:\$\{)?var\.([\w-]+)\}?$|^\{\{\s*user\s+[`'"]([^`'"]+)[`'"]\s*\}\}$/
    .exec(String(value))
    ?.slice(1)
    .find(Boolean)

const wholeNumber = (value: unknown) => (/^[1-9]\d{0,8}$/.test(String(value)) ? Number(value) : undefined)

/** Usual names of variables, for templates that use them in computed values. */
const memoryNames = ["memory", "vm_memory", "memory_mb", "memory_size", "ram", "mem"]
const cpuNames = ["cpus", "vm_cpus", "num_cpus", "cpu_count", "vcpus", "cpu"]

/** Builders whose machine has a BIOS and one network card, unless the template says otherwise. */
const usual = /^(qemu|virtualbox|vmware)/

/** Reads the hardware from the profile and a template. Later variable files override earlier ones, `variables` all of them. */
export const readHardware = (options: {
  readonly profile: ProfileHardware | undefined
  readonly template: ReadonlyArray<TextFile>
  readonly variableFiles: ReadonlyArray<TextFile>
  readonly variables: Values
}): ReadonlyArray<GivenHardware> => {
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
  const given = (build: string | null, block: Block | undefined): GivenHardware => {
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
  // If there is one block, a build with an unknown name is its renamed build.
  return [
    ...blocks.map((block) => given(block.name, block)),
    given(null, blocks.length === 1 ? blocks[0] : undefined)
  ]
}

/** The hardware of a build, and which parts of it are defaults, in words. */
export const hardwareOf = (
  all: ReadonlyArray<GivenHardware>,
  build: string
): { readonly hardware: Hardware; readonly assumed: ReadonlyArray<string> } => {
  const found =
    all.find((one) => one.build === build || (one.build !== null && build.endsWith(`.${one.build}`))) ??
    all.find((one) => one.build === null)
  const hardware: Hardware = {
    cpus: found?.cpus ?? 1,
    memoryMiB: found?.memoryMiB ?? 1024,
    firmware: found?.firmware ?? "bios",
    nics: found?.nics ?? 1,
    osType: found?.osType ?? null
  }
  const words = {
    cpus: `${hardware.cpus} CPU`,
    memoryMiB: `${hardware.memoryMiB} MiB`,
    firmware: "BIOS",
    nics: `${hardware.nics} network card`
  }
  const keys = ["cpus", "memoryMiB", "firmware", "nics"] as const
  return { hardware, assumed: keys.filter((key) => (found?.[key] ?? null) === null).map((key) => words[key]) }
}

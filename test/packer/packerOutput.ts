/** Recorded output of Packer, and lines in its format. */
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export const versions = ["1.6.6", "1.16.0"] as const
export type Version = (typeof versions)[number]

const folder = (version: Version): string =>
  fileURLToPath(new URL(`../data/transcripts/${version}/`, import.meta.url))

const read = (version: Version, file: string): string => readFileSync(`${folder(version)}${file}`, "utf8")

export const names = (version: Version): ReadonlyArray<string> =>
  readdirSync(folder(version)).flatMap((file) =>
    file.endsWith(".out") ? [file.slice(0, -".out".length)] : []
  )

export const output = (version: Version, name: string): string => read(version, `${name}.out`)

export const linesOf = (text: string): ReadonlyArray<string> => text.split("\n").slice(0, -1)

export const lines = (version: Version, name: string): ReadonlyArray<string> => linesOf(output(version, name))

export const exitCode = (version: Version, name: string): number => Number(read(version, `${name}.exit`))

export interface Manifest {
  readonly builds: ReadonlyArray<{
    readonly name: string
    readonly builder_type: string
    readonly files: ReadonlyArray<{ readonly name: string }> | null
  }>
}

export const manifest = (version: Version, name: string): Manifest =>
  JSON.parse(read(version, `${name}.manifest.json`))

export const encode = (text: string): string =>
  text.replaceAll(",", "%!(PACKER_COMMA)").replaceAll("\r", "\\r").replaceAll("\n", "\\n")

export const ui = (kind: string, text: string, seconds = 1795443710): string =>
  `${seconds},,ui,${kind},${encode(text)}`

/** A text of a build with Packer's prefix, trimmed; `arrow` is the form for all kinds but `message`. */
export const prefixed = (build: string, text: string, arrow = true): string =>
  text
    .split("\n")
    .map((line) => `${arrow ? "==>" : "   "} ${build}: ${line}`)
    .join("\n")
    .trimEnd()

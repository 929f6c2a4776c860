/** What stands between fences in the documents of this project. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/** A fenced block: "```sh runnable" has the language `sh` and says `runnable`. */
export interface Fence {
  readonly document: string
  readonly line: number
  readonly language: string
  readonly says: string
  readonly text: string
}

const fencesOf = (document: string): ReadonlyArray<Fence> => {
  const text = readFileSync(join(root, document), "utf8")
  return [...text.matchAll(/^( *)```(\S*) *([^\n]*)\n([\s\S]*?)^ *```$/gm)].map(
    ({ 1: indent = "", 2: language = "", 3: says = "", 4: block = "", index }) => ({
      document,
      line: text.slice(0, index).split("\n").length,
      language,
      says,
      text: block.replaceAll(new RegExp(`^${indent}`, "gm"), "")
    })
  )
}

const below = (folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name))

/** All of them, in all documents. */
export const fences: ReadonlyArray<Fence> = [...readdirSync(root), ...below("docs"), ...below("runbooks")]
  .filter((name) => name.endsWith(".md"))
  .flatMap(fencesOf)

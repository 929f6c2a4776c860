import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { fences, root } from "../support/documents.js"

const pieces = fences.filter(({ says }) => /^\S+\.\w+$/.test(says))
const where = ({ document, line, says }: (typeof fences)[number]) => `${document}:${line}: ${says}`

it("every quoted piece of code is in the file that the document names", () => {
  const others = pieces.filter(({ says, text }) => {
    const file = join(root, says)
    return !existsSync(file) || !readFileSync(file, "utf8").includes(text)
  })
  expect(others.map(where)).toEqual([])
  expect(new Set(pieces.map(({ document }) => document))).toEqual(
    new Set(["docs/embedding.md", "docs/extension-sdk.md"])
  )
})

it("all code in these documents is quoted from a file", () => {
  const documents = new Set(pieces.map(({ document }) => document))
  const loose = fences.filter(
    (fence) => documents.has(fence.document) && ["ts", "yaml", "json"].includes(fence.language)
  )
  expect(loose.filter((fence) => !pieces.includes(fence)).map(where)).toEqual([])
})

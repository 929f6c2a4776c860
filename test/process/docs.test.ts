import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { run } from "../e2e/harness.js"
import { fences, root } from "../support/documents.js"
import { type Checkout, makeCheckout } from "./checkout.js"

const longest = 120_000

let checkout: Checkout
beforeAll(() => {
  checkout = makeCheckout()
})
afterAll(() => checkout.remove())

it(
  "docs/cli.md is what `make docs` generates from the command",
  async () => {
    const written = join(checkout.folder, "cli.md")
    expect(await run(process.execPath, ["scripts/generate-cli-docs.js", written])).toMatchObject({
      exitCode: 0
    })
    expect(readFileSync(join(root, "docs/cli.md"), "utf8")).toBe(readFileSync(written, "utf8"))
  },
  longest
)

// Those that make a project of an example are run by embedding.test.ts.
const others = ["docs/embedding.md", "docs/extension-sdk.md"]
const runnable = fences.filter(
  ({ document, language, says }) => language === "sh" && says === "runnable" && !others.includes(document)
)

it.each([...new Set(runnable.map(({ document }) => document))])(
  "the runnable commands of %s run",
  async (document) => {
    const { exitCode, stderr } = await checkout.shell(runnable.filter((fence) => fence.document === document))
    expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" })
  },
  longest
)

it("every command of docs/security.md and of the runnable documents is covered by a test", () => {
  const documents = ["docs/security.md", ...others]
  const shell = fences.filter(({ document, language }) => documents.includes(document) && language === "sh")
  expect(shell.filter(({ says }) => says !== "runnable")).toEqual([])
  expect(new Set(shell.map(({ document }) => document))).toEqual(new Set(documents))
})

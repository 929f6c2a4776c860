import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import ts from "typescript"
import type { Output } from "../e2e/harness.js"
import { fences } from "../support/documents.js"
import { type Checkout, makeCheckout, packageOf } from "./checkout.js"

// npm, tsc and whole programs are run here.
const longest = 300_000

let checkout: Checkout
beforeAll(() => {
  checkout = makeCheckout()
})
afterAll(() => checkout.remove())

const inDocument = (document: string, language: string) =>
  fences.filter((fence) => fence.document === document && fence.language === language)

describe("docs/embedding.md, followed in an empty project", () => {
  let project: string
  let printed: Output
  beforeAll(async () => {
    project = checkout.provide("embedding")
    // Types of all that can be imported, for the same run of tsc.
    writeFileSync(
      join(project, "imports.ts"),
      `import type { Sandboxes } from "sandboxer"
import { layer } from "sandboxer/node"
import { PackerScripted } from "sandboxer/testing"
// @ts-expect-error it is internal
import type {} from "sandboxer/dist/Host/Local.js"

export const packer = PackerScripted.layer(PackerScripted.building({ qemu: { "output/image": "an image" } }))
export const live = layer({ packer })
export type Plan = Sandboxes.SandboxesShape["plan"]
`
    )
    printed = await checkout.shell(inDocument("docs/embedding.md", "sh"))
  }, longest)

  it("prints what the document shows", () => {
    expect(printed).toMatchObject({ exitCode: 0 })
    const plainly = (text: string) =>
      text
        .replaceAll(checkout.home, "~")
        .replaceAll(/\b[0-9a-f]{12}\b/g, "ID")
        // From a second on, they are whole.
        .replaceAll(/\b\d+(?:\.\d)? s\b/g, "0.1 s")
        .split("\n")
    const said = plainly(printed.stdout)
    const expected = inDocument("docs/embedding.md", "text").flatMap(({ text }) => plainly(text))
    // Events and notes come side by side.
    for (const kind of [/^told: /, /^event \d/, /^hub \d/, /^(ready|failed|demo\.img)\b/]) {
      const lines = expected.filter((line) => kind.test(line))
      expect(lines.length).toBeGreaterThan(1)
      expect(said.filter((line) => kind.test(line))).toEqual(lines)
    }
  })

  it("only the three entries can be imported", async () => {
    writeFileSync(
      join(project, "imported.js"),
      `for (const name of process.argv.slice(2)) {
  console.log(await import(name).then((module) => Object.keys(module).includes("default"), ({ code }) => code))
}`
    )
    const outcomes = async (...names: ReadonlyArray<string>) =>
      (await checkout.run(process.execPath, join(project, "imported.js"), ...names)).stdout.trim().split("\n")
    expect(await outcomes("sandboxer", "sandboxer/node", "sandboxer/testing")).toEqual([
      "false",
      "false",
      "false"
    ])
    const internals = ["sandboxer/dist/Host/Local.js", "sandboxer/Host", "sandboxer/src/index.ts"]
    expect(await outcomes(...internals)).toEqual(internals.map(() => "ERR_PACKAGE_PATH_NOT_EXPORTED"))
  })

  it("every package that the modules and types import is declared", () => {
    const installed = join(project, "node_modules/sandboxer")
    const { dependencies, peerDependencies } = packageOf(installed)
    const declared = Object.keys({ ...dependencies, ...peerDependencies })
    const files = readdirSync(join(installed, "dist"), { recursive: true, encoding: "utf8" }).filter(
      // The command is bundled.
      (name) => /\.(d\.ts|js)$/.test(name) && name !== "bin.js"
    )
    const imported = files.flatMap((name) =>
      ts
        .preProcessFile(readFileSync(join(installed, "dist", name), "utf8"))
        .importedFiles.map(({ fileName }) => ({ name, fileName }))
    )
    const packages = imported
      .filter(({ fileName }) => !fileName.startsWith(".") && !isBuiltin(fileName))
      .map((one) => ({ ...one, package: /^(?:@[^/]+\/)?[^/]+/.exec(one.fileName)?.[0] ?? "" }))
    expect(packages.length).toBeGreaterThan(100)
    expect(packages.filter((one) => !declared.includes(one.package))).toEqual([])
  })
})

describe("docs/extension-sdk.md", () => {
  it(
    "its commands build, test and run the extension",
    async () => {
      checkout.provide("extension")
      const { exitCode, stderr, stdout } = await checkout.shell(inDocument("docs/extension-sdk.md", "sh"))
      expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" })
      expect(stdout).toMatch(/^# pass 2$/m)
      const [, sha256, archive = ""] = /^([0-9a-f]{64}) {2}(.*)$/m.exec(stdout) ?? []
      const sum = await checkout.run("sha256sum", archive)
      expect(sum.stdout).toBe(`${sha256}  ${archive}\n`)
      const listed = await checkout.run("tar", "-tzf", archive)
      expect(listed.stdout.split("\n")).toContain("./archive.yaml")
    },
    longest
  )
})

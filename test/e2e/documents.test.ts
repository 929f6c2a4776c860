/** The commands of the README, the runbook and docs/profiles.md, as they stand there, with real Packer. */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { type Checkout, makeCheckout } from "../process/checkout.js"
import { type Fence, fences } from "../support/documents.js"

const runbook = "runbooks/profile-vm-packer-build.md"
const of = (document: string, language: string) =>
  fences.filter((fence) => fence.document === document && fence.language === language)

/** The templates and profiles of the documents, which the commands speak of. */
const files = {
  "hello.pkr.hcl": of("README.md", "hcl"),
  "profiles/hello.yaml": of("README.md", "yaml"),
  "profiles/debian.pkr.hcl": of("README.md", "hcl"),
  "profiles/debian.yaml": of("docs/profiles.md", "yaml")
}

let checkout: Checkout
beforeAll(() => {
  checkout = makeCheckout()
  for (const [name, [fence]] of Object.entries(files)) {
    const file = join(checkout.folder, "checkout", name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, fence?.text ?? "")
  }
})
afterAll(() => checkout.remove())

const expectRun = async (fence: Fence | undefined, exitCode = 0) => {
  const ended = await checkout.shell(fence === undefined ? [] : [fence])
  expect({ text: fence?.text, ...ended }).toMatchObject({ exitCode })
}

it("the README's first image can be built as described", async () => {
  const blocks = of("README.md", "sh").filter(
    ({ text }) => /^sandboxer (create|profile)/.test(text) && !text.includes("host=")
  )
  expect(blocks).toHaveLength(2)
  for (const block of blocks) await expectRun(block)
  // Its name is free for what comes.
  await expectRun({ ...(blocks[0] as Fence), text: "sandboxer destroy hello\n" })
})

it("the commands of the profile.vm-packer-build runbook run", async () => {
  const blocks = of(runbook, "sh")
  expect(blocks.length).toBeGreaterThan(10)
  // Where all went well there is nothing to cancel or to build again, and no process to find.
  const otherwise = new Map([
    ["sandboxer cancel hello\n", 13],
    ["sandboxer retry hello\n", 13]
  ])
  for (const block of blocks.filter(({ text }) => !text.startsWith("grep "))) {
    await expectRun(block, otherwise.get(block.text) ?? 0)
  }
})

it("the profile of docs/profiles.md can be planned", async () => {
  const [block] = of("docs/profiles.md", "sh")
  await expectRun({ ...(block as Fence), text: `${block?.text.trimEnd()} --dry-run\n` })
  await expectRun({ ...(block as Fence), text: "sandboxer profile validate profiles/debian.yaml\n" })
})

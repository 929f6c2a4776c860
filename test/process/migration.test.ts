/** What the documents of build machines say: their tables are those of the profiles, and their commands run. */
import * as fs from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { run } from "../e2e/harness.js"
import { type Fence, fences, root } from "../support/documents.js"
import { Sshd } from "../support/sshd.js"
import { type Checkout, makeCheckout } from "./checkout.js"

const migration = "docs/migration-build-machines.md"
const runbook = "runbooks/profile-vm-haskell-build.md"

interface Explained {
  readonly name: string
  readonly type: string
  readonly required: boolean
  readonly default: unknown
  readonly env: string | null
  readonly description: string
  readonly from: ReadonlyArray<{ readonly id: string }>
}

const explain = async (profile: string) => {
  const { exitCode, stderr, stdout } = await run(process.execPath, [
    join(root, "dist/bin.js"),
    ...["profile", "explain", profile, "-o", "json"]
  ])
  expect(exitCode, stderr).toBe(0)
  return (JSON.parse(stdout) as { readonly items: ReadonlyArray<Explained> }).items
}

/** The rows of the table behind a comment, as they stand there. */
const table = (profile: string) => {
  const [, text = ""] = fs
    .readFileSync(join(root, migration), "utf8")
    .split(`<!-- inputs of ${profile} -->\n\n`)
  return text.split("\n\n")[0]?.split("\n").slice(2).join("\n")
}

const byDefault = ({ default: value, required }: Explained) =>
  required
    ? "needed"
    : value === null
      ? ""
      : typeof value === "string" && value.includes("\n")
        ? "stack where there is a `stack.yaml`, else cabal"
        : [value]
            .flat()
            .map((one) => `\`${one}\``)
            .join(", ")

it.each(["profile.vm-packer-build", "profile.vm-packer-attach"])(
  "the migration guide's table lists every input of %s",
  async (profile) => {
    const rows = (await explain(profile)).map(
      (one) => `| \`${one.name}\` | ${one.type} | ${byDefault(one)} | ${one.description} |`
    )
    expect(table(profile)).toBe(rows.join("\n"))
  }
)

it("the migration guide's table lists the inputs of profile.vm-haskell-build", async () => {
  const rows = (await explain("profile.vm-haskell-build"))
    .filter(({ from }) => from.some(({ id }) => id === "profile.vm-haskell-build"))
    .map((one) => `| \`${one.name}\` | ${byDefault(one)} | ${one.env === null ? "" : `\`${one.env}\``} |`)
  expect(table("profile.vm-haskell-build")).toBe(rows.join("\n"))
})

const cabal = `#!/bin/sh
[ "$1" = --version ] && exec echo 'cabal-install version 3.10'
program=$(pwd -P)/dist-newstyle/build/x86_64-linux/ghc-9.4.7/hello-1/x/hello/build/hello/hello
mkdir -p "\${program%/*}" dist-newstyle/cache
echo 'echo hello' >"$program"
chmod +x "$program"
printf '{"bin-file":"%s"}' "$program" >dist-newstyle/cache/plan.json
`

let checkout: Checkout
let sshd: Sshd
beforeAll(async () => {
  checkout = makeCheckout()
  const tools = join(checkout.folder, "tools")
  fs.mkdirSync(tools)
  for (const name of ["ghc", "cabal", "stack"]) fs.writeFileSync(join(tools, name), cabal, { mode: 0o755 })
  sshd = await Sshd.start({ path: `${tools}:/usr/bin:/bin` })
  const configuration = join(checkout.home, ".config/sandboxer")
  fs.mkdirSync(configuration, { recursive: true })
  fs.writeFileSync(
    join(configuration, "config.yaml"),
    JSON.stringify({ hosts: { "haskell-build": sshd.connection } })
  )
  const inside = join(checkout.folder, "checkout")
  fs.mkdirSync(join(inside, "my-project"))
  fs.writeFileSync(join(inside, "my-project/hello.cabal"), "name: hello\n")
  fs.writeFileSync(join(inside, "my-project/Makefile"), "all:\n\tmkdir -p dist; date >dist/date\n")
  fs.writeFileSync(join(inside, "Makefile"), "include scripts/remote-build.mk\n")
})
afterAll(async () => {
  await sshd.dispose()
  checkout.remove()
})

const shell = (document: string) =>
  fences.filter((fence) => fence.document === document && fence.language === "sh")

const expectRun = async (fence: Fence, exitCode = 0) => {
  const ended = await checkout.shell([fence])
  expect({ text: fence.text, ...ended }).toMatchObject({ exitCode })
}

it("the README's commands for a build machine run", async () => {
  const blocks = shell("README.md").filter(({ text }) => text.includes("host="))
  expect(blocks).toHaveLength(1)
  for (const block of blocks) await expectRun(block)
  await expectRun({ ...(blocks[0] as Fence), text: "test -f results/dist/date\n" })
})

it("the migration guide's commands run", async () => {
  const blocks = shell(migration)
  expect(blocks).toHaveLength(2)
  for (const block of blocks) await expectRun(block)
  await expectRun({ ...(blocks[0] as Fence), text: "sandboxer destroy my-project\n" })
})

it("the commands of the profile.vm-haskell-build runbook run", async () => {
  const blocks = shell(runbook)
  expect(blocks.length).toBeGreaterThan(8)
  // Three are made in a row, under one name each: what is watched is the first.
  const cancelled = new Map([["sandboxer cancel my-project\n", 13]])
  for (const block of blocks) await expectRun(block, cancelled.get(block.text) ?? 0)
})

it("the documents' examples of configuration and registry are valid", async () => {
  const [hosts, portRegistry, registry] = fences.filter(
    ({ document, language }) => document === migration && language === "yaml"
  )
  const file = join(checkout.folder, "ports.yaml")
  fs.writeFileSync(file, registry?.text ?? "")
  const configuration = join(checkout.folder, "config.yaml")
  const plan = async (...args: ReadonlyArray<string>) => {
    const { exitCode, stderr, stdout } = await checkout.run(
      "sandboxer",
      ...["create", "-p", "profile.vm-packer-attach", "--config", configuration, "--dry-run", ...args]
    )
    expect(exitCode, stderr).toBe(0)
    return `${stdout}${stderr}`
  }
  fs.writeFileSync(configuration, hosts?.text ?? "")
  expect(await plan("-i", "host=haskell-build")).toContain("haskell-build")
  fs.writeFileSync(configuration, portRegistry?.text.replace("/srv/build-machines/ports.yaml", file) ?? "")
  expect(await plan("-i", "vm_name=debian-12")).toContain("packer@build2.example.com port 2201")
  expect(fs.readFileSync(file, "utf8")).toBe(registry?.text)
})

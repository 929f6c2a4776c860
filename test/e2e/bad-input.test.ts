/** Templates that the real Packer refuses, or that make nothing: no machine boots in these. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { makeWorkbench, sandboxOf, type Workbench } from "./harness.js"

let bench: Workbench
beforeAll(() => {
  bench = makeWorkbench()
  mkdirSync(join(bench.folder, "profiles"))
  writeFileSync(
    join(bench.folder, "profiles/bare.yaml"),
    "id: profile.bare\nextension: ext.vm-packer\nmode: build\ninputs:\n  format: { default: as-built }\n"
  )
})
afterAll(() => bench.remove())

const file = (name: string, content: string | object) =>
  writeFileSync(join(bench.folder, name), typeof content === "string" ? content : JSON.stringify(content))

const create = async (template: string) => {
  const words = [
    "create",
    "-p",
    "bare",
    "-i",
    "vm_name=demo",
    "-i",
    `packer_template=${template}`,
    "-o",
    "json"
  ]
  const ended = await bench.sandboxer(words, { cwd: bench.folder })
  return { ...ended, sandbox: sandboxOf(ended) }
}

const expectNothingLeft = (id: string) => {
  expect(bench.jobProcesses()).toEqual([])
  expect(existsSync(join(bench.home, "jobs", id))).toBe(false)
  const artifacts = join(bench.home, "artifacts")
  expect(existsSync(artifacts) ? readdirSync(artifacts, { recursive: true }) : []).toEqual([])
}

const image = {
  type: "file",
  content: "an image",
  target: "{{ user `output_directory` }}/{{ user `vm_name` }}"
}
const variables = { output_directory: "output", vm_name: "demo" }

describe("a template that Packer rejects", () => {
  it.each([
    [
      "does not parse",
      "broken.json",
      '{ "builders": [\n',
      /broken\.json:\d+:\d+: unexpected end of JSON input$/
    ],
    ["does not parse", "broken.pkr.hcl", 'source "file" {\n', /broken\.pkr\.hcl:\d+/],
    ["has no builds", "none.json", { builders: [] }, /at least one builder/],
    [
      "asks for what there is not",
      "unknown.json",
      { builders: [{ ...image, nonsense: 1 }], variables },
      /nonsense/
    ],
    ["has an empty builder", "empty.json", { builders: [{ type: "file" }] }, /target/i]
  ])("is reported with Packer's own words: %s: %s", async (_, name, content, message) => {
    file(name, content)
    const { exitCode, sandbox, stderr } = await create(name)
    expect(exitCode, stderr).toBe(2)
    expect(sandbox).toMatchObject({ state: "failed", failure: { reason: "template-invalid" } })
    expect(sandbox.failure?.message).toMatch(message)
    expect(stderr).toMatch(/\nhint: .+\nsee: .+\n$/)
    expectNothingLeft(sandbox.id)
  })
})

describe("a build that exits with 0", () => {
  it("fails as no-artifact if it made nothing", async () => {
    file("null.json", { builders: [{ type: "null", communicator: "none" }] })
    const { exitCode, sandbox, stderr } = await create("null.json")
    expect(exitCode, stderr).toBe(10)
    expect(sandbox).toMatchObject({
      artifacts: [],
      failure: { reason: "no-artifact", message: "packer exited with 0, but made no file" }
    })
    expect(stderr).toMatch(/\nhint: .+\nsee: .+\n$/)
    expectNothingLeft(sandbox.id)
  })
})

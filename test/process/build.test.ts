import { readFileSync } from "node:fs"
import { dirname } from "node:path"
import { describe, expect } from "@effect/vitest"
import { it, output, type SandboxJson } from "./harness.js"
import { lives } from "./until.js"

const versions = ["1.6.6", "1.16.0"] as const

const expectWhole = ({ artifacts }: SandboxJson) => {
  expect(artifacts).toHaveLength(1)
  for (const { name, path, sha256, sizeBytes } of artifacts) {
    expect(readFileSync(path, "utf8")).toBe("demo as demo has it\n")
    expect(sizeBytes).toBe(20)
    expect(output("sha256sum", [path])).toBe(`${sha256}  ${path}\n`)
    output("sha256sum", ["--check", "--strict", `${name}.sha256`], dirname(path))
  }
}

/** The same whichever version it is: only the wording of the log differs. */
const story = [
  "requested null",
  "planned null",
  "provisioning null",
  "phase preflight",
  "warning preflight",
  ...["fetch", "create", "boot", "connect", "provision", "shutdown", "export", "post-process", "collect"].map(
    (phase) => `phase ${phase}`
  ),
  "artifact null",
  "ready null"
]

describe.concurrent("build mode, with a stand-in that replays recorded Packer output", () => {
  it.for(versions)("Packer %s: ends with a complete image", async (version, { lab }) => {
    lab.speak({ version })
    const sandbox = await lab.created("demo")
    expect(sandbox).toMatchObject({ state: "ready", name: "demo", failure: null })
    expectWhole(sandbox)
    expect(lab.calls("packer", "build")).toHaveLength(1)
    expect(lab.calls("packer", "init")).toEqual([])
    expect(lab.log(sandbox)).toMatch(/^hello, from Linux$/m)
    const events = await lab.events("demo")
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(events.map(({ phase, type }) => `${type} ${phase}`)).toEqual(story)
  })

  it.for([
    ["tiny.json", "plugin-unknown-builder", "Run: packer plugins install github.com/hashicorp/qemu"],
    ["tiny.pkr.hcl", "plugin-unknown-source", "Run: packer plugins install github.com/hashicorp/qemu"],
    ["tiny.pkr.hcl", "plugin-missing-validate", "Run: packer init TEMPLATE"]
  ] as const)("Packer 1.16.0: %s, %s", async ([file, validate, hint], { lab }) => {
    const template = lab.write(`template/${file}`, JSON.stringify({ variables: {} }))
    lab.speak({ version: "1.16.0", replays: { validate } })
    const { exitCode, sandbox, stderr } = await lab
      .create("demo", "-i", `packer_template=${template}`)
      .outcome()
    expect(exitCode, stderr).toBe(15)
    const expected = hint.replace("TEMPLATE", template)
    expect(sandbox).toMatchObject({
      state: "failed",
      failure: { reason: "plugin-missing", hint: expected }
    })
    expect(stderr).toContain(`hint: ${expected}\n`)
    expect(lab.calls("packer", "build")).toEqual([])
  })

  it("Packer 1.16.0: plugins that the template requires and that cannot be installed", async ({ lab }) => {
    const block =
      'packer {\n  required_plugins {\n    nope = { source = "github.com/hashicorp/nope" }\n  }\n}\n'
    const template = lab.write("template/tiny.pkr.hcl", block)
    lab.speak({ version: "1.16.0", replays: { init: "plugin-missing-init" } })
    const { exitCode, stderr } = await lab.create("demo", "-i", `packer_template=${template}`).outcome()
    expect(exitCode, stderr).toBe(15)
    expect(stderr).toContain("packer plugins install --path BINARY github.com/hashicorp/nope")
    expect(lab.calls("packer", "validate")).toEqual([])
  })

  it("a program named packer that is not Packer fails preflight", async ({ lab }) => {
    const text = "packer: a tool for parcels\n\0\xff\u001b[2J"
    lab.speak({ version: "1.6.6", says: { version: { text, exitCode: 0 } } })
    const { exitCode, sandbox, stderr } = await lab.create("demo").outcome()
    expect(exitCode, stderr).toBe(15)
    expect(sandbox).toMatchObject({ failure: { reason: "packer-unusable" } })
  })

  it.for(versions)("Packer %s: a template that Packer rejects exits with 2", async (version, { lab }) => {
    lab.speak({ version, replays: { validate: "json-broken" } })
    const { exitCode, sandbox, stderr } = await lab.create("demo").outcome()
    expect(exitCode, stderr).toBe(2)
    expect(sandbox).toMatchObject({ state: "failed", failure: { reason: "template-invalid" } })
    expect(stderr).toContain(`${lab.template}:2:1: unexpected end of JSON input`)
    expect(lab.calls("packer", "build")).toEqual([])
  })

  it.for(versions)(
    "Packer %s: a provisioner that fails is reported as the cause",
    async (version, { lab }) => {
      lab.speak({ version, replays: { build: "qemu-provisioner-fails" } })
      const { exitCode, sandbox, stderr } = await lab.create("demo").outcome()
      expect(exitCode, stderr).toBe(10)
      expect(sandbox).toMatchObject({
        state: "failed",
        artifacts: [],
        failure: {
          reason: "provisioner-failed",
          message: "qemu: A provisioner's script ended with exit code 3 (shell script: inline)",
          logTail: expect.arrayContaining(["before"])
        }
      })
      expect(stderr).toContain("\n  | before\n")
      lab.expectNothingLeft(sandbox.id)
    }
  )

  it("a Packer that exits with 0 and made nothing fails as no-artifact", async ({ lab }) => {
    lab.speak({ version: "1.16.0", makesNothing: true })
    const { exitCode, sandbox, stderr } = await lab.create("demo").outcome()
    expect(exitCode, stderr).toBe(10)
    expect(sandbox).toMatchObject({ state: "failed", artifacts: [], failure: { reason: "no-artifact" } })
    lab.expectNothingLeft(sandbox.id)
  })

  it("a Packer that is killed: its children are ended too", async ({ lab }) => {
    lab.hold("Provisioning with")
    const create = lab.create("demo")
    await lab.held("Provisioning with")
    lab.signal(lab.calls("packer", "build")[0]!.pid, "SIGKILL")
    const { exitCode, sandbox } = await create.outcome()
    expect(exitCode).toBe(10)
    expect(sandbox.failure).toMatchObject({
      reason: "build-failed",
      message: "Packer was killed by signal 9"
    })
    expect(lives(lab.calls("packer", "machine")[0]!.pid)).toBe(false)
    lab.expectNothingLeft(sandbox.id)
  })

  it("command, supervisor and Packer are killed: the next wait ends the build as interrupted", async ({
    lab
  }) => {
    lab.hold("Provisioning with")
    const create = lab.create("demo")
    await lab.held("Provisioning with")
    await lab.crashJobs()
    const { exitCode, sandbox } = await create.outcome()
    expect(exitCode).toBe(10)
    expect(sandbox).toMatchObject({ state: "failed", failure: { reason: "interrupted" } })
    lab.expectNothingLeft(sandbox.id)
  })

  it("processes that Packer leaves running are ended, in whatever group they are", async ({ lab }) => {
    lab.speak({ version: "1.6.6", leavesOrphans: true })
    const sandbox = await lab.created("demo")
    expectWhole(sandbox)
    const machines = lab.calls("packer", "machine")
    expect(machines).toHaveLength(2)
    expect(machines.filter(({ pid }) => lives(pid))).toEqual([])
  })
})

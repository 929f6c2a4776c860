import { existsSync } from "node:fs"
import { describe, expect } from "@effect/vitest"
import { it, type SandboxJson } from "./harness.js"
import { lives } from "./until.js"

interface List {
  readonly items: ReadonlyArray<SandboxJson>
}

describe.concurrent("destroy", () => {
  it("keeps the artifacts", async ({ lab }) => {
    const { artifacts, id } = await lab.created("demo")
    const { items } = await lab.json<List>("destroy", "demo")
    expect(items).toMatchObject([{ id, state: "destroyed", artifacts }])
    for (const { path } of artifacts) {
      expect(existsSync(path)).toBe(true)
      expect(existsSync(`${path}.sha256`)).toBe(true)
    }
    expect((await lab.json<List>("list")).items).toEqual([])
    expect((await lab.json<List>("list", "--all")).items).toMatchObject([{ id, state: "destroyed" }])
    // The name is free again.
    expect((await lab.created("demo")).name).toBe("demo")
  })

  it("--delete-artifacts deletes them", async ({ lab }) => {
    const kept = await lab.created("demo")
    const { id } = await lab.created("demo", "--name", "gone")
    const { items } = await lab.json<List>("destroy", "gone", "--delete-artifacts")
    expect(items).toMatchObject([{ id, state: "destroyed", artifacts: [] }])
    expect(lab.files(lab.artifacts).filter((name) => name.includes(id))).toEqual([])
    expect(existsSync(kept.artifacts[0]!.path)).toBe(true)
  })

  it("of a sandbox that is being built is refused; --force cancels it first", async ({ lab }) => {
    lab.hold("Provisioning with")
    const create = lab.create("demo")
    await lab.held("Provisioning with")
    const refused = await lab.run(["destroy", "demo"])
    expect(refused).toMatchObject({ exitCode: 13 })
    expect(refused.stderr).toContain("hint: `sandboxer cancel demo` first, or destroy it with --force\n")
    expect(lab.calls("packer", "build").map(({ pid }) => lives(pid))).toEqual([true])
    const { items } = await lab.json<List>("destroy", "demo", "--force")
    expect(items).toMatchObject([{ state: "destroyed", artifacts: [] }])
    expect((await create.outcome()).exitCode).toBe(130)
    lab.expectNothingLeft(items[0]!.id)
  })
})

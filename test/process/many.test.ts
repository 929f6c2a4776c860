import { readFileSync } from "node:fs"
import { describe, expect } from "@effect/vitest"
import { it } from "./harness.js"

const names = Array.from({ length: 10 }, (_, index) => `vm-${index}`)

describe("ten creates at once", () => {
  it("in a state directory that does not exist yet: each makes its own image", async ({ lab }) => {
    const ended = await Promise.all(names.map((name) => lab.create(name).outcome()))
    for (const { exitCode, stderr } of ended) expect(exitCode, stderr).toBe(0)
    const sandboxes = ended.map(({ sandbox }) => sandbox)
    for (const [index, { artifacts, id, name, state }] of sandboxes.entries()) {
      expect({ name, state }).toEqual({ name: names[index], state: "ready" })
      expect(artifacts.map(({ path }) => readFileSync(path, "utf8"))).toEqual([`${name} as ${name} has it\n`])
      const events = await lab.events(id)
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1))
    }
    expect(lab.calls("packer", "build")).toHaveLength(names.length)
  })
})

import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import { makeWorkbench, type Workbench } from "../e2e/harness.js"

let bench: Workbench
beforeEach(() => {
  bench = makeWorkbench()
})
afterEach(() => bench.remove())

const sandboxer = (...words: ReadonlyArray<string>) => bench.sandboxer(words, { cwd: bench.folder })

describe("profile init", () => {
  it("writes a profile that validates, explains itself and can be planned", async () => {
    expect(await sandboxer("profile", "init", "mine")).toEqual({
      exitCode: 0,
      stdout: "profiles/mine.yaml\n",
      stderr: ""
    })
    const file = join(bench.folder, "profiles/mine.yaml")
    expect(readFileSync(file, "utf8")).toMatch(/^# /)
    expect(await sandboxer("profile", "validate", file)).toMatchObject({
      exitCode: 0,
      stdout: `${file}: valid\n`
    })
    const all = await sandboxer("profile", "validate")
    expect(all).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(`${file}: valid\n`) })
    expect(await sandboxer("profile", "explain", "mine", "-q")).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining("packer_template\n")
    })
    writeFileSync(join(bench.folder, "my.json"), "{}")
    const words = ["create", "-p", "mine", "--dry-run", "-o", "json", "-i", "packer_template=my.json"]
    expect(JSON.parse((await sandboxer(...words)).stdout)).toMatchObject({
      profile: "profile.mine",
      inputs: { vm_name: "mine", packer_template: join(bench.folder, "my.json") }
    })
  })

  it("chooses a name if none is given, and prints the profile on request", async () => {
    const { exitCode, stdout } = await sandboxer("profile", "init", "-o", "json")
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      kind: "Profile",
      id: "profile.my-image",
      file: join(bench.folder, "profiles/my-image.yaml")
    })
    expect((await sandboxer("profile", "init", "profile.other", "-q")).stdout).toBe("profile.other\n")
  })

  it("overwrites nothing and shadows no shipped profile", async () => {
    const words = ["profile", "init", "mine"]
    expect(await sandboxer(...words)).toMatchObject({ exitCode: 0 })
    const file = join(bench.folder, "profiles/mine.yaml")
    expect(await sandboxer(...words)).toMatchObject({
      exitCode: 13,
      stdout: "",
      stderr: `error: there is a profile.mine already: ${file}\nhint: choose another name\n`
    })
    // One of that name which is called otherwise, or which is broken.
    for (const text of ["id: profile.other\n", "id: [\n"]) {
      writeFileSync(file, text)
      expect(await sandboxer(...words)).toMatchObject({ exitCode: 13, stdout: "" })
      expect(readFileSync(file, "utf8")).toBe(text)
    }
    // One that ships.
    expect(await sandboxer("profile", "init", "tiny-linux")).toMatchObject({ exitCode: 13 })
  })

  it.each(["Mine", "../mine", "a/b", ".mine", "x".repeat(65)])("rejects the name %s", async (name) => {
    const { exitCode, stderr } = await sandboxer("profile", "init", name)
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr:
        `error: a profile cannot be called ${name}\n` +
        "hint: a name is of lower case letters, digits, dots and hyphens: my-image\n"
    })
  })
})

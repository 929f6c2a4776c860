import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import { root, run } from "../e2e/harness.js"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-shim-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const script = join(root, "scripts/verify-remote-build-shim.sh")
const shim = ["remote-build.mk", "remote-build.sh"]

it("make remote-build passes scripts/verify-remote-build-shim.sh, with and without sandboxer", async () => {
  const { exitCode, stdout } = await run(script, [])
  expect(stdout).toMatch(/\n\d{2} passed, 0 failed\n$/)
  expect(exitCode).toBe(0)
})

describe("verify-remote-build-shim.sh detects a shim", () => {
  it.each([
    [
      "that loses a $",
      "remote-build.mk",
      "$$(value $(name))",
      "$$($(name))",
      "and the command, as it was written"
    ],
    ["that takes the Makefile's goal", "remote-build.mk", ".DEFAULT_GOAL :=", "unused :=", "the goal of the"],
    ["that forgets the port", "remote-build.sh", '-i "port=$BUILD_PORT"', "", "and the port"],
    ["that splits a path", "remote-build.sh", '"project=$project"', "project=$project", "and the project"],
    ["that hides failures", "remote-build.sh", 'exit "$code"', "exit 0", "a build that fails is an error"],
    [
      "that says nothing of the old way",
      "remote-build.sh",
      "echo 'deprecated",
      "true 'deprecated",
      "deprecated"
    ],
    [
      "that goes on after a failure",
      "remote-build.sh",
      'legacy_command}" &&',
      'legacy_command}" ;',
      "nothing is done after it"
    ]
  ])("%s", async (_, file, from, to, check) => {
    for (const name of shim) copyFileSync(join(root, "scripts", name), join(folder, name))
    const text = readFileSync(join(folder, file), "utf8")
    expect(text).toContain(from)
    writeFileSync(join(folder, file), text.replaceAll(from, to))
    const { exitCode, stdout } = await run(script, [join(folder, "remote-build.mk")])
    expect(exitCode).toBe(1)
    expect(
      stdout
        .split("\n")
        .filter((line) => line.startsWith("FAIL"))
        .join("\n")
    ).toContain(check)
  })
})

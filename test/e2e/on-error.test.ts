/** What is left of a build that fails, with the real Packer and QEMU. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { makeWorkbench, root, run, sandboxOf, type Workbench } from "./harness.js"

interface Template {
  readonly variables: object
  readonly provisioners: ReadonlyArray<object>
}

let bench: Workbench
beforeAll(() => {
  bench = makeWorkbench()
  mkdirSync(join(bench.folder, "profiles"))
  const template = JSON.parse(
    readFileSync(join(root, "profiles/tiny-linux/tiny-linux.json"), "utf8")
  ) as Template
  writeFileSync(
    join(bench.folder, "profiles/failing.json"),
    JSON.stringify({
      ...template,
      variables: { ...template.variables, word: "" },
      provisioners: [
        { type: "shell", inline: ["echo made >/data/made.txt; sync; echo {{user `word`}}; exit 7"] }
      ]
    })
  )
  writeFileSync(
    join(bench.folder, "profiles/failing.yaml"),
    `id: profile.failing
extends: profile.tiny-linux
inputs:
  packer_template: { default: ./failing.json }
  word: { type: secret, variable: true, default: "env:WORD" }
`
  )
})
afterAll(() => bench.remove())

const create = async (onError: string) => {
  const created = await bench.sandboxer(
    ["create", "-p", "failing", "-i", `vm_name=${onError}`, "-i", `on_error=${onError}`, "-o", "json"],
    { cwd: bench.folder, env: { WORD: "correct-horse" } }
  )
  return { ...created, sandbox: sandboxOf(created) }
}

it("on_error=keep retains the disk of a failed build and no process", async () => {
  const { exitCode, sandbox } = await create("keep")
  const kept = join(bench.home, "kept", sandbox.id)
  expect(exitCode).toBe(10)
  expect(sandbox.failure).toMatchObject({
    reason: "provisioner-failed",
    message: expect.stringContaining("qemu: A provisioner's script ended with exit code 7"),
    hint: expect.stringContaining(`is kept in ${kept} until you or reap remove it`)
  })
  // The lines before Packer gave up, not those of what it left behind.
  expect(sandbox.failure?.logTail.join("\n")).toContain("Script exited with non-zero exit status: 7")
  expect(sandbox.failure?.logTail.join("\n")).not.toContain("skipping cleanup")
  expect(readdirSync(kept)).toEqual(["keep"])
  expect(await run("qemu-img", ["check", "-f", "qcow2", join(kept, "keep")])).toMatchObject({ exitCode: 0 })
  expect(bench.jobProcesses()).toEqual([])
  expect(existsSync(join(bench.home, "jobs", sandbox.id))).toBe(false)
  // grep -r gives 1 where it finds nothing.
  expect(await run("grep", ["-rl", "correct-horse", bench.home])).toMatchObject({ exitCode: 1, stdout: "" })
})

it("on_error=cleanup retains nothing", async () => {
  const { exitCode, sandbox } = await create("cleanup")
  expect(exitCode).toBe(10)
  expect(sandbox.failure?.reason).toBe("provisioner-failed")
  expect(existsSync(join(bench.home, "kept", sandbox.id))).toBe(false)
  expect(bench.jobProcesses()).toEqual([])
})

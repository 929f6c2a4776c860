/** What is left of a build that fails, with a Packer that leaves its machine running when it aborts, as Packer does. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { makeWorkbench, sandboxOf, type Workbench } from "../e2e/harness.js"
import { lives } from "./until.js"

const packer = `#!/bin/sh
case $1 in
  version) echo 0,,version,1.16.0 ;;
  inspect)
    echo 0,,template-variable,output_directory,,0
    echo 0,,template-variable,password,,0
    echo 0,,template-builder,box,qemu
    ;;
  build)
    for word; do case $word in -var-file=*) variables=\${word#-var-file=} ;; esac; done
    output=$(sed 's/.*"output_directory":"\\([^"]*\\)".*/\\1/' "$variables")
    mkdir "$output"
    echo half a disk >"$output/demo"
    sleep 300 &
    echo $! >"$MACHINE"
    case " $* " in
      *" -on-error=abort "*) ;;
      *) kill $!; rm -r "$output" ;;
    esac
    echo 0,box,error,it broke
    exit 1
    ;;
esac
`

const profile = `id: profile.failing
extension: ext.vm-packer
mode: build
inputs:
  packer_template: { default: ../template.pkr.hcl }
  vm_name: { default: demo }
  password: { type: secret, variable: true, default: "env:PASSWORD" }
`

let bench: Workbench
beforeAll(() => {
  bench = makeWorkbench()
  for (const name of ["profiles", "bin"]) mkdirSync(join(bench.folder, name))
  writeFileSync(join(bench.folder, "profiles/failing.yaml"), profile)
  writeFileSync(join(bench.folder, "template.pkr.hcl"), 'source "qemu" "box" {}')
  writeFileSync(join(bench.folder, "bin/packer"), packer)
  chmodSync(join(bench.folder, "bin/packer"), 0o755)
})
afterAll(() => bench.remove())

const create = async (...words: ReadonlyArray<string>) => {
  const machine = join(bench.folder, "machine")
  const created = await bench.sandboxer(["create", "-p", "failing", "-o", "json", ...words], {
    cwd: bench.folder,
    env: {
      MACHINE: machine,
      PASSWORD: "correct-horse",
      PATH: [join(bench.folder, "bin"), process.env.PATH].join(delimiter)
    }
  })
  return { ...created, sandbox: sandboxOf(created), machine: Number(readFileSync(machine, "utf8")) }
}

/** What is in the state directory, but for the database. */
const files = () =>
  readdirSync(bench.home, { recursive: true, encoding: "utf8" })
    .map((name) => join(bench.home, name))
    .filter((name) => statSync(name).isFile() && !name.includes("sandboxer.db"))

describe("on_error", () => {
  it("keep retains the files of a failed build and no process", async () => {
    const { exitCode, machine, sandbox } = await create("-i", "on_error=keep")
    const kept = join(bench.home, "kept", sandbox.id)
    expect(exitCode).toBe(10)
    expect(sandbox.failure?.message).toBe("box: it broke")
    expect(sandbox.failure?.hint).toContain(
      `what it had made by then is kept in ${kept} until you or reap remove it`
    )
    expect(readFileSync(join(kept, "demo"), "utf8")).toBe("half a disk\n")
    expect(statSync(kept).mode & 0o77).toBe(0)
    expect(lives(machine)).toBe(false)
    expect(bench.jobProcesses()).toEqual([])
    // No raw log, no variables, no secret.
    expect(files().sort()).toEqual([join(kept, "demo"), sandbox.logPath].sort())
    for (const file of files()) expect(readFileSync(file, "utf8")).not.toContain("correct-horse")
  })

  it("defaults to cleanup, which retains nothing", async () => {
    const { exitCode, machine, sandbox } = await create()
    expect(exitCode).toBe(10)
    expect(sandbox.failure?.hint).not.toContain("kept")
    expect(existsSync(join(bench.home, "kept", sandbox.id))).toBe(false)
    expect(lives(machine)).toBe(false)
  })

  it("accepts only cleanup and keep", async () => {
    const words = ["create", "-p", "failing", "-i", "on_error=ask", "--dry-run"]
    expect(await bench.sandboxer(words, { cwd: bench.folder })).toMatchObject({ exitCode: 2 })
  })
})

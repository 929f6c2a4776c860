import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { makeWorkbench, root, run, sandboxOf, type Workbench } from "./harness.js"

// One state directory for all: what the image is built on is made once.
let bench: Workbench
beforeAll(() => {
  bench = makeWorkbench()
})
afterAll(() => bench.remove())

const create = (name: string, ...more: ReadonlyArray<string>) => [
  "create",
  "--profile",
  "profile.tiny-linux",
  "-i",
  `vm_name=${name}`,
  "-o",
  "json",
  ...more
]

/** Waits until QEMU runs for a sandbox: then Packer is in the middle of its build. */
const booting = (id: string) =>
  waitFor(
    "QEMU",
    () => bench.jobProcesses().some(({ command }) => command.includes("qemu-system") && command.includes(id)),
    120_000
  )

/** The id of a sandbox that another command creates. */
const idOf = (name: string) =>
  waitFor(`a sandbox ${name}`, async () => {
    const { stdout } = await bench.sandboxer(["list", "-q", "--filter", `name=${name}`])
    return stdout.trim() || undefined
  })

const sha256sum = async (file: string) => (await run("sha256sum", [file])).stdout.split(" ")[0]

describe("an image of profile.tiny-linux", () => {
  it("is complete, outlives its sandbox, boots and answers over SSH", async () => {
    const created = await bench.sandboxer(create("first", "-i", "message=Salve, a comma"))
    expect(created).toMatchObject({ exitCode: 0 })
    expect(JSON.parse(created.stdout)).toMatchObject({ apiVersion: "sandboxer/v1", kind: "Sandbox" })
    const { artifacts, failure, name, state } = sandboxOf(created)
    expect({ name, state, failure, made: artifacts.length }).toEqual({
      name: "first",
      state: "ready",
      failure: null,
      made: 1
    })
    const image = artifacts[0]!
    expect(image).toMatchObject({ name: "first.qcow2", format: "qcow2", primary: true })
    expect(image.sha256).toBe(await sha256sum(image.path))
    const checked = await run("sha256sum", ["-c", `${image.name}.sha256`], { cwd: dirname(image.path) })
    expect(checked).toMatchObject({ exitCode: 0 })

    expect(await bench.sandboxer(["destroy", "first"])).toMatchObject({ exitCode: 0 })
    expect((await bench.show("first")).state).toBe("destroyed")
    expect(await sha256sum(image.path)).toBe(image.sha256)

    const booted = await run(join(root, "scripts/boot-image.sh"), [
      image.path,
      "uname -s; cat /data/message.txt"
    ])
    expect(booted).toMatchObject({ exitCode: 0 })
    expect(booted.stdout).toMatch(/^Linux\nSalve, a comma\nfirst, built /)
    expect(await sha256sum(image.path)).toBe(image.sha256)
  })

  it("is made although create and its supervisor are killed, and Packer runs once", async () => {
    const calls = join(bench.folder, "packer-calls")
    const env = await countingPacker(calls)
    const creating = bench.start(create("killed"), { env })
    const id = await idOf("killed")
    await booting(id)

    creating.kill("SIGKILL")
    const [supervisor, ...others] = bench.supervisors()
    expect(others).toEqual([])
    process.kill(supervisor!.pid, "SIGKILL")
    await creating.ended
    await waitFor("the end of the supervisor", () => bench.supervisors().length === 0)
    // Nobody looks after it, and it goes on.
    expect(bench.jobProcesses().length).toBeGreaterThan(0)
    expect((await bench.show("killed")).state).toBe("provisioning")

    expect(await bench.sandboxer(["wait", "killed"], { env })).toMatchObject({ exitCode: 0 })
    const { artifacts, state } = await bench.show("killed")
    expect(state).toBe("ready")
    expect(artifacts).toHaveLength(1)
    expect(await sha256sum(artifacts[0]!.path)).toBe(artifacts[0]!.sha256)
    expect(
      readFileSync(calls, "utf8")
        .split("\n")
        .filter((verb) => verb === "build")
    ).toHaveLength(1)
    const events = await bench.events("killed")
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(events.map(({ type }) => type)).toContain("taken-over")
    const phases = events.filter(({ type }) => type === "phase").map(({ phase }) => phase)
    expect(phases).toEqual([...new Set(phases)])
    expect(bench.jobProcesses()).toEqual([])
  })

  it("can be made at the same time as another one", async () => {
    const both = await Promise.all(["left", "right"].map((name) => bench.sandboxer(create(name))))
    expect(both.map(({ exitCode }) => exitCode)).toEqual([0, 0])
    const made = both.map(sandboxOf)
    expect(made.map(({ name, state }) => ({ name, state }))).toEqual([
      { name: "left", state: "ready" },
      { name: "right", state: "ready" }
    ])
    const images = made.flatMap(({ artifacts }) => artifacts)
    expect(images.map(({ name }) => name)).toEqual(["left.qcow2", "right.qcow2"])
    const sums = await Promise.all(images.map(({ path }) => sha256sum(path)))
    expect(images.map(({ sha256 }) => sha256)).toEqual(sums)
    // Each has the host keys that it made when it booted.
    expect(images[0]!.sha256).not.toBe(images[1]!.sha256)
  })

  it("cancel during boot leaves no image and no QEMU process", async () => {
    const creating = bench.start(create("cancelled"))
    const id = await idOf("cancelled")
    await booting(id)

    const cancelled = await bench.sandboxer(["cancel", "cancelled"])
    expect(cancelled).toMatchObject({ exitCode: 0 })
    expect(bench.jobProcesses()).toEqual([])
    const created = await creating.ended
    expect(created.exitCode).toBe(130)
    expect(sandboxOf(created)).toMatchObject({ state: "cancelled", artifacts: [], failure: null })

    const { data } = (await bench.events("cancelled")).find(({ type }) => type === "cancelled")!
    expect(data).toMatchObject({ proof: { left: 0 } })
    expect(existsSync(join(bench.home, "jobs", id))).toBe(false)
    expect(existsSync(join(bench.home, "artifacts", "cancelled", id))).toBe(false)
    await waitFor("the end of the supervisor", () => bench.supervisors().length === 0)
  })

  it("is what scripts/demo.sh makes and boots, even after an interrupted demo", async () => {
    const abandoned = await bench.sandboxer(create("demo", "--detach"))
    expect(abandoned).toMatchObject({ exitCode: 0 })
    const demo = await run(join(root, "scripts/demo.sh"), [bench.home])
    expect(demo).toMatchObject({ exitCode: 0 })
    expect(demo.stdout).toContain("demo.qcow2: OK\n")
    expect(demo.stdout).toMatch(/^Linux tiny-linux .*\nHello from a tiny Linux\.\ndemo, built /m)
    expect(demo.stdout).toContain(`rm -rf '${bench.home}'`)

    expect((await bench.show(sandboxOf(abandoned).id)).state).toBe("destroyed")
    const { id, state } = await bench.show("demo")
    expect(state).toBe("ready")
    expect(readdirSync(join(bench.home, "artifacts", "demo"))).toEqual([id])
    expect(bench.jobProcesses()).toEqual([])
    await waitFor("the end of the supervisor", () => bench.supervisors().length === 0)
  })
})

/** An environment whose packer is the real one, and writes down each verb that it is called with. */
const countingPacker = async (calls: string) => {
  const packer = (await run("sh", ["-c", "command -v packer"])).stdout.trim()
  const folder = join(bench.folder, "bin")
  mkdirSync(folder)
  writeFileSync(join(folder, "packer"), `#!/bin/sh\necho "$1" >>'${calls}'\nexec '${packer}' "$@"\n`, {
    mode: 0o755
  })
  return { PATH: `${folder}:${process.env.PATH}` }
}

import { closeSync, copyFileSync, openSync, readFileSync, statSync, writeSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { makeWorkbench, root, run, sandboxOf, type Workbench } from "./harness.js"

let bench: Workbench
beforeAll(() => {
  bench = makeWorkbench()
})
afterAll(() => bench.remove())

/** What virt-v2v reads of an OVA, without converting it; it checks the digests of the manifest. */
const virtV2v = (ova: string) => run("virt-v2v", ["-i", "ova", ova, "--print-source"])

it("virt-v2v reads the OVA of a real build, and its disk boots", async () => {
  const created = await bench.sandboxer([
    "create",
    "--profile",
    "profile.tiny-linux",
    "-i",
    "vm_name=tiny",
    "-i",
    "format=ova",
    "-i",
    "memory=640",
    "-o",
    "json"
  ])
  expect(created).toMatchObject({ exitCode: 0 })
  const { artifacts, id } = sandboxOf(created)
  expect(artifacts).toMatchObject([{ name: "tiny.ova", format: "ova", primary: true }])
  // The template tells all that the descriptor says.
  expect((await bench.events(id)).filter(({ type }) => type === "warning")).toEqual([])
  const ova = artifacts[0]!.path
  expect(await run("sha256sum", ["-c", "tiny.ova.sha256"], { cwd: dirname(ova) })).toMatchObject({
    exitCode: 0
  })

  const source = await virtV2v(ova)
  expect(source).toMatchObject({ exitCode: 0 })
  expect(source.stdout).toMatch(/source name: tiny\n/)
  expect(source.stdout).toMatch(/memory: 671088640 \(bytes\)\n/)
  expect(source.stdout).toMatch(/nr vCPUs: 1\n/)
  expect(source.stdout).toMatch(/firmware: bios\n/)
  expect(source.stdout).toMatch(/disks:\n\t0 \[sata\]\n/)
  expect(source.stdout).toMatch(/NICs:\n\tBridge "nat" \[e1000\]\n/)

  const damaged = join(bench.folder, "damaged.ova")
  copyFileSync(ova, damaged)
  const file = openSync(damaged, "r+")
  writeSync(file, "damage", statSync(damaged).size / 2)
  closeSync(file)
  const refused = await virtV2v(damaged)
  expect(refused.exitCode).not.toBe(0)
  expect(refused.stderr).toContain("tiny-disk1.vmdk")

  expect(await run("tar", ["-xf", ova, "-C", bench.folder])).toMatchObject({ exitCode: 0 })
  expect(readFileSync(join(bench.folder, "tiny.mf"), "utf8")).toMatch(/^SHA256\(tiny\.ovf\)= [0-9a-f]{64}\n/)
  const disk = join(bench.folder, "tiny.qcow2")
  const converted = ["convert", "-f", "vmdk", "-O", "qcow2", join(bench.folder, "tiny-disk1.vmdk"), disk]
  expect(await run("qemu-img", converted)).toMatchObject({ exitCode: 0 })
  const booted = await run(join(root, "scripts/boot-image.sh"), [disk, "uname -s; cat /data/message.txt"])
  expect(booted).toMatchObject({ exitCode: 0 })
  expect(booted.stdout).toMatch(/^Linux\nHello from a tiny Linux\.\ntiny, built /)
})

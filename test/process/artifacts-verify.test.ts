/** What is wrong with images, found with the tar and the qemu-img of this machine. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { verify } from "../../src/artifacts/Verification.js"
import { ArtifactId } from "../../src/domain/Artifact.js"
import { layerHosts } from "../../src/node.js"
import { layerHome } from "../../src/settings/Settings.js"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-verify-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const run = (program: string, ...args: ReadonlyArray<string>) =>
  execFileSync(program, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })

const digest = (name: string, algorithm = "sha256") =>
  createHash(algorithm)
    .update(readFileSync(join(folder, name)))
    .digest("hex")

/** Verifies a file that was recorded as it is now, after `change`. */
const verified = (name: string, format: string, change: (file: string) => void = () => undefined) => {
  const file = join(folder, name)
  const artifact = {
    id: ArtifactId.make("0123456789ab"),
    name,
    path: file,
    format,
    sizeBytes: statSync(file).size,
    sha256: digest(name),
    primary: true
  }
  change(file)
  const settings = layerHome(join(folder, "home"))
  return Effect.runPromise(Effect.provide(verify(artifact), Layer.provide(layerHosts, settings)))
}

/** Changes bytes at an offset. */
const poke =
  (offset: number, ...values: ReadonlyArray<number>) =>
  (file: string) => {
    const bytes = readFileSync(file)
    bytes.set(values, offset)
    writeFileSync(file, bytes)
  }

const image = (name: string, format: string) => {
  writeFileSync(join(folder, "raw"), Buffer.alloc(1024 * 1024, "image "))
  run("qemu-img", "convert", "-O", format, "raw", name)
}

describe("verifying a disk", () => {
  it.each(["qcow2", "vmdk"])(
    "accepts an intact %s image and rejects it with one byte changed",
    async (format) => {
      image("disk", format)
      expect(await verified("disk", format)).toEqual({
        status: "ok",
        checked: ["size", "sha256", "qemu-img"],
        problem: null
      })
      expect(await verified("disk", format, poke(500_000, 1))).toMatchObject({
        status: "damaged",
        checked: ["size", "sha256"]
      })
      expect(await verified("disk", format, (file) => truncateSync(file, 1000))).toMatchObject({
        status: "damaged",
        checked: ["size"]
      })
    }
  )

  it("reports the corruption that qemu-img finds", async () => {
    image("disk", "qcow2")
    // The entry of the first table of clusters leads out of the file, and then the version is none.
    const table = Number(readFileSync(join(folder, "disk")).readBigUInt64BE(40))
    poke(table + 5, 0xff)(join(folder, "disk"))
    expect(await verified("disk", "qcow2")).toMatchObject({
      status: "damaged",
      checked: ["size", "sha256", "qemu-img"],
      problem: expect.stringMatching(/^qemu-img reports that it is corrupt: /)
    })
    poke(7, 9)(join(folder, "disk"))
    expect(await verified("disk", "qcow2")).toMatchObject({
      status: "damaged",
      problem: expect.stringMatching(/^qemu-img cannot read it: /)
    })
  })
})

describe("verifying an OVA", () => {
  /** Packs files in this order. */
  const ova = (...names: ReadonlyArray<string>) =>
    run("tar", "--create", "--format=ustar", "--file=demo.ova", "--", ...names)
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
  const line = (name: string, algorithm = "sha256") =>
    `${algorithm.toUpperCase()}(${name})= ${digest(name, algorithm)}\n`

  beforeEach(() => {
    write("demo.ovf", "<Envelope/>")
    write("-demo disk (1).vmdk", "a disk".repeat(10_000))
  })
  const disk = "-demo disk (1).vmdk"
  const fine = { status: "ok", checked: ["size", "sha256", "manifest"], problem: null }

  it.each(["sha1", "sha256", "sha512"])(
    "accepts a %s manifest at the beginning and at the end of the archive",
    async (algorithm) => {
      write(
        "demo.mf",
        `${line("demo.ovf", algorithm)}${line(disk, algorithm).toUpperCase().replace("-DEMO DISK (1).VMDK", disk)}`
      )
      ova("demo.ovf", disk, "demo.mf")
      expect(await verified("demo.ova", "ova")).toEqual(fine)
      ova("demo.ovf", "demo.mf", disk)
      expect(await verified("demo.ova", "ova")).toEqual(fine)
    }
  )

  it("accepts an OVA without a manifest", async () => {
    ova("demo.ovf", disk)
    expect(await verified("demo.ova", "ova")).toEqual({ ...fine, checked: ["size", "sha256"] })
  })

  it.each([
    [(text: string) => text.replace(/= ./, "= x"), /^its manifest demo\.mf has an invalid line: /],
    [
      (text: string) => text.replace(/[0-9a-f]\n$/, (last) => (last === "0\n" ? "1\n" : "0\n")),
      /^-demo disk \(1\)\.vmdk in it does not match its manifest demo\.mf$/
    ],
    [
      (text: string) => text.replaceAll("disk (1)", "disk (2)"),
      /^-demo disk \(2\)\.vmdk is missing, and its manifest demo\.mf lists it$/
    ]
  ])("rejects an OVA that its manifest contradicts: case %#", async (change, problem) => {
    write("demo.mf", change(`${line("demo.ovf")}${line(disk)}`))
    ova("demo.ovf", disk, "demo.mf")
    expect(await verified("demo.ova", "ova")).toEqual({
      ...fine,
      status: "damaged",
      problem: expect.stringMatching(problem)
    })
  })

  it("rejects a file that is not a tar archive", async () => {
    write("demo.ova", "no archive".repeat(1000))
    expect(await verified("demo.ova", "ova")).toMatchObject({
      status: "damaged",
      problem: expect.stringMatching(/^it is not an archive: /)
    })
  })

  it("rejects an OVA with one byte changed", async () => {
    write("demo.mf", `${line("demo.ovf")}${line(disk)}`)
    ova("demo.ovf", disk, "demo.mf")
    expect(await verified("demo.ova", "ova", poke(2000, 0))).toMatchObject({
      status: "damaged",
      checked: ["size", "sha256"]
    })
  })
})

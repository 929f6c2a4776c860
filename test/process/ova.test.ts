import { execFileSync } from "node:child_process"
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import { HostPath } from "../../src/domain/HostPath.js"
import { BuildPlan } from "../../src/extensions/vm-packer/build/BuildPlan.js"
import { collect } from "../../src/extensions/vm-packer/build/steps/collect.js"
import { readHardware } from "../../src/extensions/vm-packer/build/template/hardware.js"
import { Host, Hosts } from "../../src/hosts/Host.js"
import type { JobRef } from "../../src/hosts/jobs/Jobs.js"
import { layerHosts } from "../../src/node.js"
import { Reporter } from "../../src/recipe/Reporter.js"
import { Steps, type StepsShape } from "../../src/recipe/Steps.js"
import { layerHome } from "../../src/settings/Settings.js"

const mebibyte = 1024 ** 2

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-ova-"))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true, force: true })
})

const runIn = (cwd: string, program: string, ...args: ReadonlyArray<string>) =>
  execFileSync(program, args, { encoding: "utf8", cwd })
const run = (program: string, ...args: ReadonlyArray<string>) => runIn(folder, program, ...args)
const info = (file: string) =>
  JSON.parse(run("qemu-img", "info", "--output=json", file)) as Readonly<Record<string, unknown>>

/** The plan of a build of `demo`. */
const planOf = (format: BuildPlan["format"], hardware: BuildPlan["hardware"]) =>
  new BuildPlan({
    template: join(folder, "demo.json"),
    folder,
    asksForPlugins: false,
    vmName: "demo",
    variables: {},
    secretVariables: [],
    varFiles: [],
    only: [],
    except: [],
    force: false,
    format,
    hardware,
    outputDirectory: null,
    prepare: null,
    requires: { commands: [], freeDisk: null }
  })

const told = readHardware({
  profile: { cpus: 2, memory: 2048 * mebibyte, firmware: "efi", nics: 2, osType: "debian" },
  template: [],
  variableFiles: [],
  variables: {}
})

/** Has the files of builds collected as the recipe does, on this machine; gives the images and what was said. */
const collected = (
  files: Readonly<Record<string, ReadonlyArray<string>>>,
  { format = "ova", hardware = told }: Partial<Pick<BuildPlan, "format" | "hardware">> = {}
) => {
  const warnings: Array<string> = []
  const notes: Array<string> = []
  const log: Array<string> = []
  const reporter = Layer.succeed(Reporter, {
    phase: () => Effect.void,
    note: (_, message) => Effect.sync(() => void notes.push(message)),
    warning: (_, message) => Effect.sync(() => void warnings.push(message)),
    output: (lines) => Effect.sync(() => void log.push(...lines.map(({ text }) => text))),
    keep: (name) => Effect.succeed(name),
    settle: Effect.void,
    overdue: Effect.never,
    tail: Effect.sync(() => log),
    redact: (text) => text
  })
  const jobs = HostPath(join(folder, "jobs"))
  const steps: StepsShape = {
    folder: jobs,
    step: <A, I, E, R>(_key: string, _schema: Schema.Schema<A, I>, effect: Effect.Effect<A, E, R>) => effect,
    journaled: () => Effect.succeedNone,
    job: <A, I, E, R>(
      key: string,
      _options: { readonly schema: Schema.Schema<A, I> },
      start: (job: JobRef) => Effect.Effect<A, E, R>
    ) => {
      const own = HostPath(join(jobs, key))
      mkdirSync(own, { recursive: true })
      return start({ key, folder: own })
    },
    fence: Effect.succeed(HostPath(join(jobs, "fence.1")))
  }
  const host = Layer.effect(
    Host,
    Effect.flatMap(Hosts, (hosts) => Effect.orDie(hosts.get({ host: "local" })))
  ).pipe(Layer.provide(layerHosts), Layer.provide(layerHome(folder)))
  const builds = Object.keys(files)
  const made = {
    builds,
    files: builds.flatMap((build) => (files[build] ?? []).map((file) => ({ build, builderId: "test", file })))
  }
  const template = { folder: HostPath(folder), path: HostPath(join(folder, "demo.json")) }
  return collect(planOf(format, hardware), template, made).pipe(
    Effect.map((images) => ({ images, warnings, notes })),
    Effect.provide(Layer.mergeAll(host, reporter, Layer.succeed(Steps, steps)))
  )
}

/** A raw disk with something at its beginning, in its middle and at its end. */
const rawDisk = (name: string, sizeBytes: number): string => {
  const bytes = Buffer.alloc(sizeBytes)
  bytes.write("begins", 1)
  bytes.fill("in the middle ", sizeBytes / 2, sizeBytes / 2 + 100_000)
  bytes.write("ends", sizeBytes - 4)
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}

/** What a builder makes: a disk of 3 MiB in this format. */
const built = (name: string, format: string, ...options: ReadonlyArray<string>): string => {
  const raw = rawDisk("source", 3 * mebibyte)
  if (format === "raw") copyFileSync(raw, join(folder, name))
  else run("qemu-img", "convert", "-f", "raw", "-O", format, ...options, raw, name)
  return name
}

const membersOf = (ova: string) => run("tar", "-tf", ova).trimEnd().split("\n")

/** Where the magic and the version of a tar's format stand. */
const tarFormat = (file: string) => {
  const bytes = Buffer.alloc(8)
  const opened = openSync(file, "r")
  readSync(opened, bytes, 0, 8, 257)
  closeSync(opened)
  return bytes.toString("latin1")
}

/** Unpacks an OVA and checks everything about it that can be checked from outside; gives its folder. */
const unpacked = (ova: string, disks: ReadonlyArray<string>): string => {
  const into = mkdtempSync(join(folder, "unpacked-"))
  expect(membersOf(ova)).toEqual(["demo.ovf", ...disks.map((_, n) => `demo-disk${n + 1}.vmdk`), "demo.mf"])
  expect(tarFormat(ova)).toBe("ustar\u000000")
  run("tar", "-xf", ova, "-C", into)
  expect(runIn(into, "sha256sum", "-c", "demo.mf")).toBe(
    ["demo.ovf", ...disks.map((_, n) => `demo-disk${n + 1}.vmdk`)].map((name) => `${name}: OK\n`).join("")
  )
  const descriptor = join(into, "demo.ovf")
  run("xmllint", "--noout", "--nonet", descriptor)
  const attribute = (name: string) =>
    [...run("xmllint", "--xpath", `//*/@*[local-name()='${name}']`, descriptor).matchAll(/"(.*)"/g)].map(
      ([, value]) => value
    )
  expect(attribute("href")).toEqual(disks.map((_, n) => `demo-disk${n + 1}.vmdk`))
  for (const [n, disk] of disks.entries()) {
    const vmdk = join(into, `demo-disk${n + 1}.vmdk`)
    expect(info(vmdk)).toMatchObject({
      format: "vmdk",
      "virtual-size": Number(attribute("capacity")[n]),
      "format-specific": { data: { "create-type": "streamOptimized" } }
    })
    expect(attribute("size")[n]).toBe(String(readFileSync(vmdk).length))
    expect(run("qemu-img", "check", vmdk)).toContain("No errors were found")
    expect(run("qemu-img", "compare", "-f", "raw", "-F", "vmdk", disk, vmdk)).toContain("identical")
  }
  return into
}

describe("an OVA", () => {
  it.live.each([
    ["demo", "raw", []],
    ["demo.img", "raw", []],
    ["demo", "qcow2", []],
    ["demo.raw", "qcow2", []],
    ["demo", "vmdk", []],
    ["demo.vmdk", "vmdk", ["-o", "subformat=streamOptimized"]]
  ] as ReadonlyArray<[string, string, ReadonlyArray<string>]>)(
    "is made from %s, which is %s",
    ([name, format, options]) =>
      Effect.gen(function* () {
        const file = built(name, format, ...options)
        const { images, notes, warnings } = yield* collected({ qemu: [file] })
        expect(images).toMatchObject([{ name: "demo.ova", format: "ova", primary: true }])
        unpacked(images[0]!.file, [join(folder, "source")])
        expect({ warnings, notes }).toEqual({ warnings: [], notes: [] })
        // What was built is as it was, and nothing is left half made.
        expect(existsSync(join(folder, name))).toBe(true)
        expect(existsSync(`${images[0]!.file}.part`)).toBe(false)
      })
  )

  it.live("has all disks of a build, in the order of Packer's artifact records", () =>
    Effect.gen(function* () {
      const raw = [5, 1, 2].map((size, n) => rawDisk(`raw-${n}`, size * mebibyte + n * 512))
      const files = raw.map((file, n) => {
        if (n === 2) return file
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", file, `disk-${n}`)
        return `disk-${n}`
      })
      const { images } = yield* collected({ qemu: files })
      expect(images.map(({ name }) => name)).toEqual(["demo.ova"])
      unpacked(images[0]!.file, raw)
    })
  )

  it.live("contains a VMDK of several files once", () =>
    Effect.gen(function* () {
      const file = built("demo.vmdk", "vmdk", "-o", "subformat=twoGbMaxExtentFlat")
      const extent = "demo-f001.vmdk"
      expect(existsSync(join(folder, extent))).toBe(true)
      const { images } = yield* collected({ vmware: [extent, file] })
      unpacked(images[0]!.file, [join(folder, "source")])
    })
  )

  it.live("describes the hardware that the profile and template name", () =>
    Effect.gen(function* () {
      const { images } = yield* collected({ qemu: [built("demo", "qcow2")] })
      const ovf = join(unpacked(images[0]!.file, [join(folder, "source")]), "demo.ovf")
      const text = (path: string) => run("xmllint", "--xpath", `string(${path})`, ovf).trim()
      const quantity = (type: number) =>
        text(
          `//*[local-name()='Item'][*[local-name()='ResourceType']=${type}]/*[local-name()='VirtualQuantity']`
        )
      expect([quantity(3), quantity(4)]).toEqual(["2", "2048"])
      expect(text("count(//*[local-name()='Item'][*[local-name()='ResourceType']=10])")).toBe("2")
      expect(text("//*[local-name()='Config']/@*[local-name()='value']")).toBe("efi")
      expect(text("//*[local-name()='OperatingSystemSection']/@*[local-name()='id']")).toBe("96")
    })
  )

  it.live("comes with a warning if its hardware is a guess", () =>
    Effect.gen(function* () {
      const { warnings } = yield* collected({ qemu: [built("demo", "qcow2")] }, { hardware: [] })
      expect(warnings).toEqual([
        "demo.ova has the default hardware 1 CPU, 1024 MiB, BIOS, 1 network card: neither the profile's `hardware` nor the template sets it"
      ])
    })
  )

  it.live("is made for each of several builds and named after it", () =>
    Effect.gen(function* () {
      const raw = rawDisk("other", 4 * mebibyte)
      const { images } = yield* collected({ "b one": [built("demo", "qcow2")], two: [raw] })
      expect(images.map(({ name, primary }) => [name, primary])).toEqual([
        ["demo-b-one.ova", true],
        ["demo-two.ova", false]
      ])
      unpacked(images[0]!.file, [join(folder, "source")])
      unpacked(images[1]!.file, [raw])
    })
  )

  it.live.each(["demo.ova", "demo", "demo.raw"])("that a builder made is kept unchanged: %s", (name) =>
    Effect.gen(function* () {
      const first = yield* collected({ qemu: [built("source.qcow2", "qcow2")] })
      copyFileSync(first.images[0]!.file, join(folder, name))
      writeFileSync(join(folder, "demo.nvram"), Buffer.alloc(1024))
      const { images, notes } = yield* collected({ virtualbox: [name, "demo.nvram"] }, { hardware: [] })
      expect(images).toEqual([{ file: join(folder, name), name: "demo.ova", format: "ova", primary: true }])
      expect(notes).toEqual(["not part of demo.ova, so not kept: demo.nvram"])
    })
  )

  it.live("does not contain firmware variables as a disk", () =>
    Effect.gen(function* () {
      writeFileSync(join(folder, "efivars.fd"), Buffer.alloc(540_672))
      const { images, notes } = yield* collected({ qemu: ["efivars.fd", built("demo", "raw")] })
      unpacked(images[0]!.file, [join(folder, "source")])
      expect(notes).toEqual(["not part of demo.ova, so not kept: efivars.fd"])
    })
  )

  it.live.each([
    ["a text", "demo.txt", Buffer.alloc(1024, "Hello. ")],
    ["nothing", "demo", Buffer.alloc(0)],
    ["half a sector", "demo", Buffer.alloc(1000)]
  ] as ReadonlyArray<[string, string, Buffer]>)("is not made from %s", ([, name, bytes]) =>
    Effect.gen(function* () {
      writeFileSync(join(folder, name), bytes)
      const failure = yield* Effect.flip(collected({ file: [name] }))
      expect(failure).toMatchObject({
        reason: "no-artifact",
        hint: expect.stringContaining("format=as-built")
      })
      expect(failure.message).toBe(`build file made ${name}, and no disk that could become ova`)
    })
  )

  it.live("is not published in part if a digest cannot be computed", () =>
    Effect.gen(function* () {
      const programs = join(folder, "programs")
      mkdirSync(programs)
      writeFileSync(join(programs, "sha256sum"), "#!/bin/sh\necho it is broken >&2\nexit 1\n", {
        mode: 0o755
      })
      vi.stubEnv("PATH", `${programs}:${process.env.PATH}`)
      const failure = yield* Effect.flip(collected({ qemu: [built("demo", "qcow2")] }))
      expect(failure).toMatchObject({ reason: "build-failed" })
      expect(failure.message).toContain("the OVA of demo cannot be packed")
      expect(failure._tag === "ProvisionError" ? failure.logTail.join("\n") : "").toContain("it is broken")
      expect(existsSync(join(folder, "jobs/ova-1/image.ova"))).toBe(false)
    })
  )
})

describe("a disk with a backing file", () => {
  const overlay = () => {
    const base = built("base.qcow2", "qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", "demo")
    return { source: join(folder, "source"), disk: "demo" }
  }

  it.live("becomes a complete OVA and a complete qcow2", () =>
    Effect.gen(function* () {
      const { disk, source } = overlay()
      const ova = yield* collected({ qemu: [disk] })
      unpacked(ova.images[0]!.file, [source])
      const qcow2 = yield* collected({ qemu: [disk] }, { format: "qcow2" })
      const file = qcow2.images[0]!.file
      expect(info(file)).toMatchObject({ format: "qcow2" })
      expect(info(file)).not.toHaveProperty("backing-filename")
      expect(run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", source, file)).toContain("identical")
      expect(qcow2.warnings).toEqual([])
    })
  )

  it.live("comes with a warning if it is kept as built", () =>
    Effect.gen(function* () {
      const { images, warnings } = yield* collected({ qemu: [overlay().disk] }, { format: "as-built" })
      expect(images).toMatchObject([{ name: "demo.qcow2" }])
      expect(warnings).toEqual([
        "demo.qcow2 needs its backing file base.qcow2; format qcow2 or ova makes an image that does not"
      ])
    })
  )
})

describe("format=qcow2", () => {
  it.live("is refused if the builder made an OVA", () =>
    Effect.gen(function* () {
      const made = yield* collected({ qemu: [built("source.qcow2", "qcow2")] })
      const file = made.images[0]!.file
      const failure = yield* Effect.flip(collected({ virtualbox: [file] }, { format: "qcow2" }))
      expect(failure).toMatchObject({ reason: "no-artifact" })
      expect(failure.message).toContain(basename(file))
      expect(dirname(file)).toContain(folder)
    })
  )
})

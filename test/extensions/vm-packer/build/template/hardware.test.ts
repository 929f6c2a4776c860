import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { Hardware } from "../../../../../src/domain/Profile.js"
import { hardwareOf, readHardware } from "../../../../../src/extensions/vm-packer/build/template/hardware.js"

type Options = Parameters<typeof readHardware>[0]

/** What is found for a build: for `qemu`, unless told. */
const found = (options: Partial<Options>, build = "qemu") =>
  hardwareOf(
    readHardware({ profile: undefined, template: [], variableFiles: [], variables: {}, ...options }),
    build
  )
const json = (template: unknown) => [{ name: "demo.json", text: JSON.stringify(template) }]
const hcl = (...texts: ReadonlyArray<string>) =>
  texts.map((text, index) => ({ name: `${index}.pkr.hcl`, text }))

describe("without hardware in profile and template", () => {
  it("there are defaults, which are listed as assumed", () => {
    expect(found({})).toEqual({
      hardware: { cpus: 1, memoryMiB: 1024, firmware: "bios", nics: 1, osType: null },
      assumed: ["1 CPU", "1024 MiB", "BIOS", "1 network card"]
    })
  })

  it.each([
    ["a template that is no JSON", [{ name: "demo.json", text: "{" }]],
    ["one that computes it", hcl('source "file" "a" {\n  memory = 2 * 512\n  cpus = local.cpus\n}\n')],
    ["a remark", hcl('source "file" "a" {\n  # memory = 2048\n  // cpus = 4\n}\n')],
    ["text that is no number", json({ builders: [{ type: "file", memory: "2G", cpus: "0" }] })]
  ])("%s has no hardware", (_, template) => {
    expect(found({ template })).toEqual(found({}))
  })
})

describe("the hardware of the profile", () => {
  it("overrides the template", () => {
    const template = json({ builders: [{ type: "qemu", memory: 512, cpus: 1, efi_boot: true }] })
    const profile = { cpus: 4, memory: 3 * 1024 ** 3, firmware: "bios", nics: 2, osType: "debian" } as const
    expect(found({ profile, template })).toEqual({
      hardware: { cpus: 4, memoryMiB: 3072, firmware: "bios", nics: 2, osType: "debian" },
      assumed: []
    })
  })

  it("may be incomplete", () => {
    const { assumed, hardware } = found({ profile: { cpus: 4 } })
    expect(hardware).toMatchObject({ cpus: 4, memoryMiB: 1024 })
    expect(assumed).toEqual(["1024 MiB", "BIOS", "1 network card"])
  })

  it.each([
    [{ memory: "2 GiB" }, { memory: 2 * 1024 ** 3 }],
    [{ memory: 1536 }, { memory: 1536 * 1024 ** 2 }],
    [{ cpus: 2, firmware: "efi", nics: 0, osType: "debian" }, undefined],
    [{ memory: "2048" }, "Expected a size of 1 MiB or more"],
    [{ memory: 0 }, "Expected a size of 1 MiB or more"],
    [{ cpus: 0 }, "between 1 and 1024"],
    [{ firmware: "uefi" }, "uefi"]
  ])("is read from %o", (written, expected) => {
    const read = Schema.decodeUnknownEither(Hardware)(written)
    if (typeof expected === "string") expect(String(Either.flip(read))).toContain(expected)
    else expect(read).toEqual(Either.right(expected ?? written))
  })

  it("has memory rounded up to whole MiB", () => {
    expect(found({ profile: { memory: 1024 ** 3 + 1 } }).hardware.memoryMiB).toBe(1025)
  })
})

describe("the hardware of a JSON template", () => {
  const builder = { type: "qemu", memory: "{{user `memory`}}", cpus: 2 }

  it("is read from its builder, also through variables", () => {
    const template = json({ variables: { memory: "512" }, builders: [builder] })
    expect(found({ template })).toEqual({
      hardware: { cpus: 2, memoryMiB: 512, firmware: "bios", nics: 1, osType: null },
      assumed: []
    })
  })

  it("uses given values before variable files, and later files before earlier ones", () => {
    const template = json({ variables: { memory: "512" }, builders: [builder] })
    const first = { name: "1.json", text: '{"memory": "600"}' }
    const last = { name: "2.json", text: '{"memory": 700}' }
    expect(found({ template, variableFiles: [first, last] }).hardware.memoryMiB).toBe(700)
    expect(found({ template, variableFiles: [first], variables: { memory: 800 } }).hardware.memoryMiB).toBe(
      800
    )
  })

  it("is read from variables with usual names if its builder has none", () => {
    const template = json({ variables: { vm_memory: "640", num_cpus: "3" }, builders: [{ type: "qemu" }] })
    expect(found({ template })).toMatchObject({ hardware: { cpus: 3, memoryMiB: 640 }, assumed: [] })
  })

  it("is different for each build", () => {
    const template = json({
      builders: [
        { type: "qemu", memory: 512, cpus: 1 },
        {
          type: "virtualbox-iso",
          name: "vb",
          memory: 1024,
          cpus: 2,
          firmware: "efi",
          guest_os_type: "Debian_64"
        }
      ]
    })
    expect(found({ template }, "qemu").hardware).toMatchObject({ cpus: 1, memoryMiB: 512, firmware: "bios" })
    expect(found({ template }, "vb").hardware).toEqual({
      cpus: 2,
      memoryMiB: 1024,
      firmware: "efi",
      nics: 1,
      osType: "Debian_64"
    })
    expect(found({ template }, "other").assumed).toHaveLength(4)
  })

  it("has UEFI also by the firmware file of QEMU", () => {
    const qemuargs = [["-bios", "/usr/share/ovmf/OVMF.fd"]]
    const template = json({ builders: [{ type: "qemu", qemuargs }] })
    expect(found({ template }).hardware.firmware).toBe("efi")
  })
})

describe("the hardware of an HCL2 template", () => {
  const source = `
variable "memory" {
  type    = number
  default = 512 # MiB
  validation {
    condition     = var.memory > 100
    error_message = "More."
  }
}
variable "cpus" { default = "2" }

source "qemu" "debian" {
  memory   = var.memory
  cpus     = "\${var.cpus}"
  efi_boot = true
  boot_command = [
    "<wait>"
  ]
}
`
  const build = 'build {\n  sources = ["source.qemu.debian"]\n}\n'

  it("is read from its source, also through variables of any file", () => {
    expect(found({ template: hcl(build, source) }, "qemu.debian")).toEqual({
      hardware: { cpus: 2, memoryMiB: 512, firmware: "efi", nics: 1, osType: null },
      assumed: []
    })
  })

  it("is read from lines with Windows line ends", () => {
    const { hardware } = found({ template: hcl(source.replaceAll("\n", "\r\n")) }, "qemu.debian")
    expect(hardware).toMatchObject({ memoryMiB: 512, cpus: 2 })
  })

  it.each(["release.qemu.debian", "renamed"])("applies to a build with the name %s", (name) => {
    expect(found({ template: hcl(source) }, name).hardware.memoryMiB).toBe(512)
  })

  it("uses variable files", () => {
    const variableFiles = [{ name: "demo.pkrvars.hcl", text: "# mine\nmemory = 900\ncpus=6\n" }]
    const { hardware } = found({ template: hcl(source), variableFiles }, "qemu.debian")
    expect(hardware).toMatchObject({ memoryMiB: 900, cpus: 6 })
  })

  it("is different for each source, also with numbers and variables blocks", () => {
    const template = hcl(
      'variables {\n  ram = 700\n}\nsource "qemu" "a" {\n  cpus = 3\n}\nsource "vmware-iso" "b" {\n  memory = "800"\n}\n'
    )
    expect(found({ template }, "qemu.a").hardware).toMatchObject({ cpus: 3, memoryMiB: 700 })
    const b = found({ template }, "vmware-iso.b")
    expect(b.hardware).toMatchObject({ cpus: 1, memoryMiB: 800 })
    expect(b.assumed).toEqual(["1 CPU"])
  })
})

import { describe, expect, it } from "@effect/vitest"
import {
  descriptor,
  osNumber,
  type PackagedMachine
} from "../../../../../src/extensions/vm-packer/build/images/ovf.js"
import type { Hardware } from "../../../../../src/extensions/vm-packer/build/template/hardware.js"

const hardware: Hardware = { cpus: 2, memoryMiB: 2048, firmware: "bios", nics: 1, osType: "debian" }
const disk = (n: number) => ({ name: `demo-disk${n}.vmdk`, sizeBytes: 1000 * n, capacityBytes: n * 2 ** 30 })
const of = (fields: Partial<PackagedMachine> = {}) =>
  descriptor({ name: "demo", hardware, disks: [disk(1)], ...fields })

/** Attributes of each element of this name, in their order. */
const elements = (xml: string, name: string) =>
  [...xml.matchAll(new RegExp(`<${name} ([^>]*?)/?>`, "g"))].map(([, attributes = ""]) =>
    Object.fromEntries([...attributes.matchAll(/(\S+)="([^"]*)"/g)].map(([, key, value]) => [key, value]))
  )

/** What stands in each `Item`, in their order. */
const items = (xml: string) =>
  [...xml.matchAll(/<Item>(.*?)<\/Item>/gs)].map(([, body = ""]) =>
    [...body.matchAll(/<rasd:(\w+)>(.*?)<\//g)].map(([, key = "", value = ""]) => [key, value] as const)
  )
const itemsOf = (xml: string, type: number) =>
  items(xml)
    .map((keys): Record<string, string> => Object.fromEntries(keys))
    .filter(({ ResourceType }) => ResourceType === String(type))

describe("a descriptor", () => {
  it("has files and disks, with the size that the machine sees in bytes", () => {
    const xml = of({ disks: [disk(1), disk(2)] })
    expect(elements(xml, "File")).toEqual([
      { "ovf:id": "file1", "ovf:href": "demo-disk1.vmdk", "ovf:size": "1000" },
      { "ovf:id": "file2", "ovf:href": "demo-disk2.vmdk", "ovf:size": "2000" }
    ])
    expect(elements(xml, "Disk")).toMatchObject([
      { "ovf:diskId": "disk1", "ovf:fileRef": "file1", "ovf:capacity": "1073741824" },
      { "ovf:diskId": "disk2", "ovf:fileRef": "file2", "ovf:capacity": "2147483648" }
    ])
    for (const { "ovf:capacityAllocationUnits": unit, "ovf:format": format } of elements(xml, "Disk")) {
      expect(unit).toBe("byte")
      expect(format).toMatch(/#streamOptimized$/)
    }
  })

  it("has CPUs and memory", () => {
    expect(itemsOf(of(), 3)).toMatchObject([{ VirtualQuantity: "2" }])
    expect(itemsOf(of(), 4)).toMatchObject([{ VirtualQuantity: "2048", AllocationUnits: "byte * 2^20" }])
  })

  it("gives each disk its own port", () => {
    const xml = of({ disks: Array.from({ length: 31 }, (_, index) => disk(index + 1)) })
    const controllers = itemsOf(xml, 20)
    expect(controllers.map(({ Address, ResourceSubType }) => [Address, ResourceSubType])).toEqual([
      ["0", "vmware.sata.ahci"],
      ["1", "vmware.sata.ahci"]
    ])
    const disks = itemsOf(xml, 17)
    expect(disks.map(({ HostResource }) => HostResource)).toEqual(
      Array.from({ length: 31 }, (_, index) => `ovf:/disk/disk${index + 1}`)
    )
    expect(new Set(disks.map(({ AddressOnParent, Parent }) => `${Parent}/${AddressOnParent}`)).size).toBe(31)
    expect(disks.map(({ Parent }) => Parent)).toEqual([
      ...Array.from({ length: 30 }, () => controllers[0]!.InstanceID),
      controllers[1]!.InstanceID
    ])
  })

  it.each([0, 1, 3])("connects %i network cards to a network that it declares", (nics) => {
    const xml = of({ hardware: { ...hardware, nics } })
    expect(itemsOf(xml, 10).map(({ Connection, ResourceSubType }) => [Connection, ResourceSubType])).toEqual(
      Array.from({ length: nics }, () => ["nat", "E1000"])
    )
    expect(elements(xml, "Network")).toEqual(nics === 0 ? [] : [{ "ovf:name": "nat" }])
  })

  it("sets UEFI, but not BIOS, which is the default", () => {
    expect(elements(of(), "vmw:Config")).toEqual([])
    expect(elements(of({ hardware: { ...hardware, firmware: "efi" } }), "vmw:Config")).toEqual([
      { "ovf:required": "false", "vmw:key": "firmware", "vmw:value": "efi" }
    ])
  })

  it("has keys in the order of DMTF's schema, and no number twice", () => {
    const all = items(of({ disks: [disk(1), disk(2)], hardware: { ...hardware, nics: 2 } }))
    for (const keys of all.map((item) => item.map(([key]) => key))) {
      expect(keys).toEqual([...keys].sort())
      expect(keys).toEqual(expect.arrayContaining(["ElementName", "InstanceID", "ResourceType"]))
    }
    const ids = all.map((item) => item.find(([key]) => key === "InstanceID")?.[1])
    expect(new Set(ids).size).toBe(7)
  })

  it("escapes texts", () => {
    const name = `a & b < c > "d" \u0007\ud800\u{1f600}`
    const xml = of({ name, hardware: { ...hardware, osType: "</Description>&" } })
    expect(xml).toContain(`<VirtualSystem ovf:id="a &amp; b &lt; c &gt; &quot;d&quot; \u{1f600}">`)
    expect(xml).toContain("<Name>a &amp; b &lt; c &gt; &quot;d&quot; \u{1f600}</Name>")
    expect(xml).toContain("<Description>&lt;/Description&gt;&amp;</Description>")
  })
})

describe("an operating system", () => {
  it.each([
    ["debian", 96],
    ["Debian_64", 96],
    ["ubuntu64Guest", 94],
    ["RedHat_64", 80],
    ["rhel9_64Guest", 80],
    ["centos7_64Guest", 107],
    ["OracleLinux_64", 109],
    ["sles15_64Guest", 85],
    ["OpenSUSE_64", 83],
    ["other5xLinux64Guest", 101],
    ["FreeBSD_64", 78],
    ["Windows2019_64", 118],
    ["windows9_64Guest", 120],
    ["plan9", 1],
    [null, 1]
  ])("is recognised by its name: %s", (osType, number) => expect(osNumber(osType)).toBe(number))

  it("is in the descriptor, with number and name", () => {
    const xml = of({ hardware: { ...hardware, osType: "Debian_64" } })
    expect(elements(xml, "OperatingSystemSection")).toEqual([{ "ovf:id": "96" }])
    expect(xml).toContain("<Description>Debian_64</Description>")
    expect(elements(of({ hardware: { ...hardware, osType: null } }), "OperatingSystemSection")).toEqual([
      { "ovf:id": "1" }
    ])
  })
})

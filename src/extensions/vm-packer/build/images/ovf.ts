/** The descriptor of an OVA: OVF 1.1 (DMTF's DSP0243), limited to what VMware, VirtualBox and virt-v2v know. */
import type { Hardware } from "../template/hardware.js"

/** A disk: a stream-optimized VMDK. `capacityBytes` is its size as the machine sees it. */
export interface PackagedDisk {
  readonly name: string
  readonly sizeBytes: number
  readonly capacityBytes: number
}

/** @category model */
export interface PackagedMachine {
  readonly name: string
  readonly hardware: Hardware
  readonly disks: ReadonlyArray<PackagedDisk>
}

const characters: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;"
}

/** Escapes a text for XML, also for attributes. Characters that XML 1.0 does not allow are left out. */
const escape = (text: string) =>
  text
    .replaceAll(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, "")
    .replaceAll(/[&<>"]/g, (character) => characters[character] ?? "")

/** CIM's numbers of operating systems, by pattern of their name. All are 64-bit systems. */
const operatingSystems: ReadonlyArray<readonly [RegExp, number]> = [
  [/debian/i, 96],
  [/ubuntu/i, 94],
  [/centos/i, 107],
  [/oracle/i, 109],
  [/red\s?hat|rhel/i, 80],
  [/sles/i, 85],
  [/suse/i, 83],
  [/linux|fedora|arch|gentoo|rocky|alma|alpine/i, 101],
  [/freebsd/i, 78],
  [/win.*20(1[6-9]|2\d)/i, 118],
  [/^win/i, 120]
]
const otherSystem = 1

/** CIM's number of an operating system; that of "Other" if the name is unknown. */
export const osNumber = (osType: string | null): number =>
  operatingSystems.find(([pattern]) => osType !== null && pattern.test(osType))?.[1] ?? otherSystem

/** CIM's numbers of resource types. */
const kinds = { cpu: 3, memory: 4, network: 10, disk: 17, sata: 20 }

/** The name of the NAT network in both VMware and VirtualBox. */
const network = "nat"

/** Ports of a SATA controller in VMware and VirtualBox. */
const portsPerController = 30

/** An item with an element for each key, in alphabetical order as the schema requires. */
const item = (keys: Readonly<Record<string, string | number>>) => `
      <Item>${Object.entries(keys)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(
          ([key, value]) => `
        <rasd:${key}>${escape(String(value))}</rasd:${key}>`
        )
        .join("")}
      </Item>`

const items = ({ disks, hardware }: PackagedMachine) => {
  const controllers = Array.from({ length: Math.ceil(disks.length / portsPerController) })
  const resources: ReadonlyArray<Readonly<Record<string, string | number>>> = [
    {
      ElementName: `${hardware.cpus} virtual CPU(s)`,
      ResourceType: kinds.cpu,
      AllocationUnits: "hertz * 10^6",
      VirtualQuantity: hardware.cpus
    },
    {
      ElementName: `${hardware.memoryMiB} MiB of memory`,
      ResourceType: kinds.memory,
      AllocationUnits: "byte * 2^20",
      VirtualQuantity: hardware.memoryMiB
    },
    ...controllers.map((_, index) => ({
      ElementName: `SATA controller ${index}`,
      ResourceType: kinds.sata,
      ResourceSubType: "vmware.sata.ahci",
      Address: index
    })),
    ...disks.map((_, index) => ({
      ElementName: `Hard disk ${index + 1}`,
      ResourceType: kinds.disk,
      HostResource: `ovf:/disk/disk${index + 1}`,
      // The first controller has number 3, after CPUs and memory.
      Parent: 3 + Math.floor(index / portsPerController),
      AddressOnParent: index % portsPerController
    })),
    ...Array.from({ length: hardware.nics }, (_, index) => ({
      ElementName: `Network adapter ${index + 1}`,
      ResourceType: kinds.network,
      ResourceSubType: "E1000",
      Connection: network,
      AutomaticAllocation: "true"
    }))
  ]
  return resources.map((keys, index) => item({ InstanceID: index + 1, ...keys })).join("")
}

/** The text of the descriptor. Its file references have the order of the disks. */
export const descriptor = (machine: PackagedMachine): string => {
  const { disks, hardware } = machine
  const name = escape(machine.name)
  const files = disks.map(
    (disk, index) => `
    <File ovf:id="file${index + 1}" ovf:href="${escape(disk.name)}" ovf:size="${disk.sizeBytes}"/>`
  )
  const virtualDisks = disks.map(
    (disk, index) => `
    <Disk ovf:diskId="disk${index + 1}" ovf:fileRef="file${index + 1}" ovf:capacity="${disk.capacityBytes}" ovf:capacityAllocationUnits="byte" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>`
  )
  const networks =
    hardware.nics === 0
      ? ""
      : `
  <NetworkSection>
    <Info>The networks that the machine is connected to</Info>
    <Network ovf:name="${network}">
      <Description>A network that reaches others</Description>
    </Network>
  </NetworkSection>`
  const firmware =
    hardware.firmware === "bios"
      ? ""
      : `
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="${hardware.firmware}"/>`
  return `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>${files.join("")}
  </References>
  <DiskSection>
    <Info>The machine's disks</Info>${virtualDisks.join("")}
  </DiskSection>${networks}
  <VirtualSystem ovf:id="${name}">
    <Info>A virtual machine</Info>
    <Name>${name}</Name>
    <OperatingSystemSection ovf:id="${osNumber(hardware.osType)}">
      <Info>The operating system in it</Info>
      <Description>${escape(hardware.osType ?? "Other")}</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>The hardware that it takes</Info>
      <System>
        <vssd:ElementName>Virtual hardware family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>${name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-10</vssd:VirtualSystemType>
      </System>${items(machine)}${firmware}
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`
}

/**
 * For tests, ours and those of programs that embed sandboxer: layers that keep everything in memory, a Host whose
 * files lie elsewhere, and a Packer that is not Packer.
 *
 * @example
 * import { layer } from "sandboxer/node"
 * import { HostMemory, PackerScripted } from "sandboxer/testing"
 *
 * const sandboxer = Effect.map(HostMemory.make(), (host) =>
 *   layer({
 *     hosts: HostMemory.layer(host),
 *     packer: PackerScripted.layer(PackerScripted.building({ qemu: { "output/image": "an image" } }))
 *   })
 * )
 */
export * as HoldersMemory from "./Holders/Memory.js"
export * as HostMemory from "./Host/Memory.js"
export * as HubStoreMemory from "./HubStore/Memory.js"
export * as PackerScripted from "./Packer/Scripted.js"
export * as SandboxStoreMemory from "./SandboxStore/Memory.js"
export * as SecretsMemory from "./Secrets/Memory.js"
export * as StateHubMemory from "./StateHub/Memory.js"
export * as UptimeMemory from "./Uptime/Memory.js"

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

export * as HostMemory from "./hosts/memory/HostMemory.js"
export * as UptimeMemory from "./hosts/memory/UptimeMemory.js"
export * as StateHubMemory from "./hub/client/memory/StateHubMemory.js"
export * as HubStoreSql from "./hub/server/sql/HubStoreSql.js"
export * as PackerScripted from "./packer/scripted/PackerScripted.js"
export * as SecretsMemory from "./secrets/memory/SecretsMemory.js"
export * as ProcessIdentityMemory from "./store/memory/ProcessIdentityMemory.js"
export * as SandboxStoreSql from "./store/sql/SandboxStoreSql.js"

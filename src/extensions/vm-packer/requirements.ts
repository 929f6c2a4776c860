/** Checks of what a plan requires of its host, the same for both modes. */
import * as Effect from "effect/Effect"
import { ProvisionError } from "../../domain/Failure.js"
import { installHint, notOnPath } from "../../domain/Programs.js"
import { formatSize } from "../../domain/Units.js"
import { Host } from "../../hosts/Host.js"

/** Fails if commands are missing on the host. */
export const refuseMissing = Effect.fn(function* (missing: ReadonlyArray<string>) {
  const host = yield* Host
  if (missing.length === 0) return
  return yield* new ProvisionError({
    reason: "command-missing",
    message: notOnPath(missing, host.name),
    hint: installHint(missing)
  })
})

/** Fails if less space is free than the profile asks for, in bytes. */
export const refuseLowDisk = Effect.fn(function* (freeDisk: number | null) {
  const host = yield* Host
  if (freeDisk === null) return
  const free = yield* host.freeBytes(host.home)
  if (free >= freeDisk) return
  return yield* new ProvisionError({
    reason: "disk-space",
    message: `${host.home} on ${host.name} has ${formatSize(free)} free; the profile asks for ${formatSize(freeDisk)}`,
    hint: "free some space there, or set SANDBOXER_HOME to a folder on a larger disk"
  })
})

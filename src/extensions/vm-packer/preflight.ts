import * as Effect from "effect/Effect"
import { ProvisionError } from "../../domain/Failure.js"
import { formatSize } from "../../domain/Units.js"
import { Host } from "../../Host.js"
import { Packer } from "../../Packer.js"
import { Reporter } from "../../Reporter.js"
import type { BuildPlan } from "./BuildPlan.js"
import { refuseExisting } from "./images.js"

/** Finds out before anything is made whether what is needed is there; gives Packer's version. */
export const preflight = Effect.fn(function* (plan: BuildPlan) {
  const host = yield* Host
  const packer = yield* Packer
  const reporter = yield* Reporter
  yield* reporter.phase("preflight")
  const version = yield* packer.version
  const commands = [...plan.requires.commands, ...(plan.format === "as-built" ? [] : ["qemu-img"])]
  for (const command of new Set(commands)) {
    const { exitCode } = yield* host.run({ program: "sh", args: ["-c", 'command -v "$1"', "sh", command] })
    if (exitCode !== 0) {
      return yield* new ProvisionError({
        reason: "command-missing",
        message: `${command} is not on the PATH of ${host.name}`,
        hint: `install it there; on Debian \`apt-file search bin/${command}\` names the package`
      })
    }
  }
  const free = yield* host.freeBytes(host.home)
  if (plan.requires.freeDisk !== null && free < plan.requires.freeDisk) {
    return yield* new ProvisionError({
      reason: "disk-space",
      message: `${host.home} on ${host.name} has ${formatSize(free)} free; the profile asks for ${formatSize(plan.requires.freeDisk)}`,
      hint: "free some space, or set SANDBOXER_HOME to a folder on a larger disk"
    })
  }
  yield* refuseExisting(plan, [plan.vmName])
  return version
})

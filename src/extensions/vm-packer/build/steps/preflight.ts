import * as Effect from "effect/Effect"
import { ProvisionError } from "../../../../domain/Failure.js"
import { installHint, lookFor, notOnPath } from "../../../../domain/Programs.js"
import { formatSize } from "../../../../domain/Units.js"
import { Host } from "../../../../hosts/Host.js"
import { Packer, Version } from "../../../../packer/Packer.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { BuildPlan } from "../BuildPlan.js"
import { refuseExisting } from "./refuseExisting.js"

/**
 * Finds out before anything is made whether what is needed is there; gives Packer's version. Journaled: by the time that
 * somebody takes over, the build has what it needs, and has used some of it.
 */
export const preflight = Effect.fn(function* (plan: BuildPlan) {
  const reporter = yield* Reporter
  const steps = yield* Steps
  yield* reporter.phase("preflight")
  return yield* steps.step("preflight", Version, looked(plan))
})

const looked = Effect.fn(function* (plan: BuildPlan) {
  const host = yield* Host
  const packer = yield* Packer
  const version = yield* packer.version
  const needed = new Set([
    ...plan.requires.commands,
    ...(plan.format === "as-built" ? [] : ["qemu-img"]),
    ...host.programs.jobs,
    ...host.programs.files,
    ...(plan.prepare === null ? [] : ["flock"])
  ])
  const { stdout } = yield* host.run({
    program: "sh",
    args: ["-c", lookFor, "sandboxer-preflight", ...needed]
  })
  const missing = stdout.split("\n").filter((line) => line !== "")
  if (missing.length > 0) {
    return yield* new ProvisionError({
      reason: "command-missing",
      message: notOnPath(missing, host.name),
      hint: installHint(missing)
    })
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

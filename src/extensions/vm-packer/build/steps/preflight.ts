import * as Effect from "effect/Effect"
import { lookFor } from "../../../../domain/Programs.js"
import { Host } from "../../../../hosts/Host.js"
import { Packer, Version } from "../../../../packer/Packer.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import { refuseLowDisk, refuseMissing } from "../../requirements.js"
import type { BuildPlan } from "../BuildPlan.js"
import { refuseExisting } from "./refuseExisting.js"

/**
 * Checks the host before anything is made: Packer's version, which it returns; commands, free space, and that the user's
 * output directory has no image of this name.
 *
 * Journaled: when a supervisor takes over, the build has used some of the space. Makes nothing.
 */
export const preflight = Effect.fn(function* (plan: BuildPlan) {
  const reporter = yield* Reporter
  const steps = yield* Steps
  yield* reporter.phase("preflight")
  return yield* steps.step("preflight", Version, checked(plan))
})

const checked = Effect.fn(function* (plan: BuildPlan) {
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
  yield* refuseMissing(stdout.split("\n").filter((line) => line !== ""))
  yield* refuseLowDisk(plan.requires.freeDisk)
  yield* refuseExisting(plan, [plan.vmName])
  return version
})

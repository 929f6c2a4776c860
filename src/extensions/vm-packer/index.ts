/** `ext.vm-packer`: builds images of virtual machines with Packer, and uses existing build machines over SSH. */
import { type Extension, mode } from "../../recipe/Extension.js"
import * as AttachPlan from "./attach/AttachPlan.js"
import { attach } from "./attach/attach.js"
import { teardown } from "./attach/steps/openWorkspace.js"
import { syncAgain } from "./attach/steps/sync.js"
import * as BuildPlan from "./build/BuildPlan.js"
import { build } from "./build/build.js"

export const vmPacker: Extension = {
  id: "ext.vm-packer",
  description: "Builds images of virtual machines with Packer, and uses machines that exist",
  modes: {
    build: mode({
      description: "Runs Packer from a template and keeps the image",
      inputs: BuildPlan.inputs,
      schema: BuildPlan.BuildPlan,
      plan: BuildPlan.plan,
      describe: BuildPlan.describe,
      defaultName: ({ vmName }) => vmName,
      locks: BuildPlan.locks,
      phases: BuildPlan.phases,
      provision: build
    }),
    attach: mode({
      description:
        "Uses a machine that exists: takes a project there, runs a command, brings the results back",
      inputs: AttachPlan.inputs,
      schema: AttachPlan.AttachPlan,
      plan: AttachPlan.plan,
      describe: AttachPlan.describe,
      defaultName: ({ name }) => name,
      placement: ({ placement }) => placement,
      jobless: ({ command }) => command === null,
      locks: AttachPlan.locks,
      phases: AttachPlan.phases,
      provision: attach,
      teardown,
      sync: syncAgain
    })
  }
}

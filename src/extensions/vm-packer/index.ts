/** `ext.vm-packer`: images of virtual machines, built with Packer. */
import { type Extension, mode } from "../../Extension.js"
import * as BuildPlan from "./BuildPlan.js"
import { build } from "./build.js"

export const vmPacker: Extension = {
  id: "ext.vm-packer",
  description: "Builds images of virtual machines with Packer",
  modes: {
    build: mode({
      description: "Runs Packer from a template and keeps the image",
      inputs: BuildPlan.inputs,
      schema: BuildPlan.BuildPlan,
      plan: BuildPlan.plan,
      describe: BuildPlan.describe,
      defaultName: ({ vmName }) => vmName,
      provision: build
    })
  }
}

/** What is built while faults fall upon it. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./lab.js"

/** The secret that every build is given, and prints. */
export const secret = "correct-horse-battery-staple"

/**
 * @typedef {object} Build
 * @property {string} name
 * @property {number} seconds about how long it takes
 * @property {ReadonlyArray<string>} words what `sandboxer` is told
 * @property {boolean} countsRuns whether it leaves a line in `runs` each time it is run
 */

const inline = (/** @type {string} */ runs) => [
  `echo run >>${runs}`,
  `i=0; while [ $i -lt 20 ]; do echo "line $i $TOKEN"; sleep 0.1; i=$((i+1)); done`
]

/** A template without a machine: an image at once, and some seconds of a post-processor. */
export const template = (/** @type {string} */ runs) => ({
  variables: { vm_name: "", output_directory: "", token: "" },
  builders: [
    {
      type: "file",
      name: "made",
      content: "not much of an image",
      target: "{{user `output_directory`}}/{{user `vm_name`}}.img"
    }
  ],
  "post-processors": [
    [{ type: "shell-local", environment_vars: ["TOKEN={{user `token`}}"], inline: inline(runs) }]
  ]
})

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {Build}
 */
export const quickBuild = (lab) => {
  writeFileSync(join(lab.folder, "quick.json"), JSON.stringify(template(join(lab.folder, "runs"))))
  writeFileSync(
    join(lab.folder, "quick.yaml"),
    JSON.stringify({
      id: "profile.quick",
      extension: "ext.vm-packer",
      mode: "build",
      timeout: "1 hour",
      inputs: {
        packer_template: { default: "./quick.json" },
        vm_name: { default: "quick" },
        format: { default: "as-built" },
        token: { type: "secret", variable: true, required: true }
      }
    })
  )
  lab.environment.SANDBOXER_PROFILES = lab.folder
  lab.environment.TOKEN_OF_QUICK = secret
  return {
    name: "quick",
    seconds: 4,
    words: ["create", "--profile", "profile.quick", "-i", "token=env:TOKEN_OF_QUICK", "-o", "json"],
    countsRuns: true
  }
}

/**
 * A real machine.
 * @returns {Build}
 */
export const machineBuild = () => ({
  name: "tiny-linux",
  seconds: 20,
  words: [
    "create",
    "--profiles",
    join(root, "profiles"),
    "--profile",
    "profile.tiny-linux",
    "-i",
    "vm_name=machine",
    "-o",
    "json"
  ],
  countsRuns: false
})

/** The builds that faults strike. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./lab.js"

/** The secret that builds with Packer get and print. */
export const secret = "correct-horse-battery-staple"

/**
 * - `quick`: a template without a machine
 * - `machine`: a real machine
 * - `attach`: a command on a machine behind a real sshd
 * - `hub`: like `quick`, with a State Hub
 * @typedef {"quick" | "machine" | "attach" | "hub"} Kind
 */

/**
 * @typedef {object} Build
 * @property {number} seconds about how long it takes
 * @property {ReadonlyArray<string>} words the arguments of `sandboxer`
 * @property {ReadonlyArray<string>} results names of what it makes, in the folder of its artifacts
 * @property {number} lines the number of numbered lines that it prints
 * @property {string} [runs] a file that gets one line for each run
 */

/**
 * Appends a line to `runs`, prints numbered lines for some seconds, and writes them to `made`.
 * @param {string} runs
 * @param {string} made
 * @param {number} lines
 */
const program = (runs, made, lines) => [
  `echo run >>${runs}; : >${made}`,
  `i=0; while [ $i -lt ${lines} ]; do echo "line $i $TOKEN"; echo $i >>${made}; sleep 0.1; i=$((i+1)); done`
]

const linesOfQuick = 20
const linesOfAttach = 30

/** A template without a machine: an image at once, then some seconds of a post-processor. */
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
    [
      {
        type: "shell-local",
        environment_vars: ["TOKEN={{user `token`}}"],
        inline: program(runs, "/dev/null", linesOfQuick)
      }
    ]
  ]
})

/** @type {(lab: import("./lab.js").Lab) => Build} */
const quick = (lab) => {
  const runs = join(lab.folder, "runs")
  writeFileSync(join(lab.folder, "quick.json"), JSON.stringify(template(runs)))
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
    seconds: 4,
    words: ["create", "--profile", "profile.quick", "-i", "token=env:TOKEN_OF_QUICK", "-o", "json"],
    results: ["quick.img"],
    lines: linesOfQuick,
    runs
  }
}

/** @type {(lab: import("./lab.js").Lab) => Promise<Build>} */
const attach = async (lab) => {
  const machine = await lab.startMachine()
  const project = join(lab.folder, "project")
  mkdirSync(project)
  writeFileSync(join(project, "a.txt"), "a\n")
  const runs = join(machine.home, "runs")
  const { host, identityFile, port, user } = machine.connection
  const inputs = {
    ...{ host, port, user, identity_file: identityFile, project },
    command: [...program(runs, "made", linesOfAttach), "mv made results.txt"].join("; "),
    collect: "results.txt"
  }
  return {
    seconds: 5,
    words: [
      ...["create", "--profile", "profile.vm-packer-attach", "-o", "json"],
      ...Object.entries(inputs).flatMap(([name, value]) => ["-i", `${name}=${value}`])
    ],
    results: ["receipt.json", "results.txt"],
    lines: linesOfAttach,
    runs
  }
}

/** @type {Readonly<Record<Kind, (lab: import("./lab.js").Lab) => Build | Promise<Build>>>} */
export const builds = {
  quick,
  machine: () => ({
    seconds: 20,
    words: [
      ...["create", "--profiles", join(root, "profiles"), "--profile", "profile.tiny-linux"],
      ...["-i", "vm_name=machine", "-o", "json"]
    ],
    results: ["machine.qcow2"],
    lines: 0
  }),
  attach,
  hub: async (lab) => {
    await lab.startHub()
    return quick(lab)
  }
}

import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import type { Plan } from "../domain/Plan.js"
import { Profiles } from "../profiles/Profiles.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { askSecret } from "./AskSecret.js"
import { followToCompletion } from "./Follow.js"
import { over, parseInputs, readInputsFile } from "./Inputs.js"
import { warnOfHub } from "./NotifyHub.js"
import * as options from "./Options.js"
import { type Kind, printOne } from "./Printer.js"
import { warnOfShadows } from "./profile/list.js"
import { sandboxes } from "./SandboxKinds.js"

const plans: Kind<Plan> = {
  kind: "Plan",
  document: ({
    description,
    extension,
    inputs,
    mode,
    name,
    placement,
    profile,
    timeoutSeconds,
    ttlSeconds
  }) => ({
    profile,
    extension,
    mode,
    name,
    placement,
    inputs,
    ttlSeconds,
    timeoutSeconds,
    steps: description
  }),
  name: ({ profile }) => profile,
  columns: [
    ["profile", ({ profile }) => profile],
    ["mode", ({ extension, mode }) => `${mode} (${extension})`],
    ["host", ({ placement }) => placement.host],
    [
      "inputs",
      ({ inputs }) =>
        Object.entries(inputs)
          .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
          .join("\n")
    ],
    ["will", ({ description }) => description.map((line, index) => `${index + 1}. ${line}`).join("\n")]
  ]
}

export const create = Command.make(
  "create",
  {
    profile: options.text("profile", "The profile to create from", "p"),
    inputs: options.texts(
      "input",
      "An input: KEY=VALUE; repeat it for a list, KEY.NAME=VALUE for a map",
      "i"
    ),
    inputsFile: options.optional(
      options.text("inputs-file", "A YAML or JSON file of inputs; what -i gives wins over it")
    ),
    mode: options.optional(options.text("mode", "The extension's mode, where it is not the profile's")),
    name: options.optional(options.text("name", "The sandbox's name; by default the vm_name")),
    ttlSeconds: options.optional(
      options.duration("ttl", 'How long it lives once it is ready: 90m, "12 hours"')
    ),
    timeoutSeconds: options.optional(options.duration("timeout", "How long the provision may take")),
    lockTimeoutSeconds: options.optional(
      options.duration("lock-timeout", "How long it may wait for its turn; 10 minutes by default")
    ),
    workstream: options.optional(
      options.text("workstream", "The workstream that a State Hub files its notes under")
    ),
    task: options.optional(options.text("task", "The task that a State Hub files its notes under")),
    detach: options.flag("detach", "Do not wait for the provision to end"),
    dryRun: options.flag("dry-run", "Say what would be done and why, and do nothing"),
    progress: options.progress,
    output: options.output
  },
  ({
    detach,
    dryRun,
    inputs,
    inputsFile,
    lockTimeoutSeconds,
    mode,
    name,
    output,
    profile,
    progress,
    task,
    timeoutSeconds,
    ttlSeconds,
    workstream
  }) =>
    Effect.gen(function* () {
      const manager = yield* Sandboxes
      const profiles = yield* Profiles
      const inFile =
        inputsFile === undefined ? { inputs: {}, inputLocations: {} } : yield* readInputsFile(inputsFile)
      // --mode says the same as -i mode=….
      const words = mode === undefined ? inputs : [...inputs, `mode=${mode}`]
      const found = yield* profiles.get(profile)
      const request = {
        profile: found,
        ...over(inFile, yield* parseInputs(words)),
        environment: process.env,
        workingDirectory: process.cwd(),
        detach,
        ...(askSecret === undefined ? {} : { askSecret }),
        ...(name === undefined ? {} : { name }),
        ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
        ...(workstream === undefined ? {} : { workstream }),
        ...(task === undefined ? {} : { task }),
        ...(lockTimeoutSeconds === undefined ? {} : { lockTimeoutSeconds })
      }
      yield* warnOfShadows(found)
      if (dryRun) return yield* printOne(output, plans, yield* manager.plan(request))
      yield* warnOfHub
      const sandbox = yield* manager.create(request)
      // Its supervisor notifies the hub.
      if (detach) return yield* printOne(output, sandboxes, sandbox)
      yield* followToCompletion(sandbox, { output, progress })
    })
).pipe(
  Command.withDescription(
    "Provision a sandbox from a profile, and follow it to its end. " +
      "build mode runs Packer from a template (-i packer_template=…) and keeps the image. " +
      "attach mode uses a machine that exists (-i host=…, or -i vm_name=… of the port registry): it is ready for exec and " +
      "ssh; with -i project=… and -i command=… it takes the project there and runs the command, with -i collect=… it " +
      "brings results back. The profile says which mode it is; --mode, or -i mode=…, chooses the other one: " +
      "`sandboxer profile explain PROFILE --mode MODE` shows the inputs of each"
  )
)

/** A world with attach mode, a project, and a machine whose shell programs are functions. */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import { HostPath, join } from "../../../../src/domain/HostPath.js"
import { vmPacker } from "../../../../src/extensions/vm-packer/index.js"
import type { PlanRequest } from "../../../../src/recipe/Extension.js"
import type { SecretValues } from "../../../../src/secrets/Secrets.js"
import { layerHome, type SettingsShape } from "../../../../src/settings/Settings.js"
import type { HostMemory } from "../../../../src/testing.js"
import { plan, platform, temporaryFolder, type World, world } from "../../../support/inMemory.js"

export interface AttachOptions extends Partial<Pick<PlanRequest, "secrets" | "variables">> {
  readonly inputs?: Readonly<Record<string, unknown>>
  readonly values?: SecretValues
  /** Files of the project, by name; without them there is no project. */
  readonly project?: Readonly<Record<string, string>>
  /** What the command does; nothing by default. */
  readonly command?: HostMemory.Program
  /** Programs that the machine lacks. */
  readonly lacks?: ReadonlyArray<string>
  /** Output of the program that finds the files to collect. */
  readonly finds?: ReadonlyArray<string>
  /** Exit code of the program that opens a workspace. */
  readonly workspaceExit?: number
}

/** Stand-ins for the shell programs of attach mode, by their names. */
const shell =
  (options: AttachOptions): HostMemory.Program =>
  (command, process) => {
    // The project has links.
    if (command.program === "find") return Effect.as(process.print("link"), 0)
    const [, , name = "", ...args] = command.args
    switch (name) {
      case "sandboxer-reach": {
        const needed = args.slice(0, args.indexOf("--"))
        const missing = needed.filter((one) => options.lacks?.includes(one))
        const tools = args.slice(args.indexOf("--") + 1)
        return Effect.as(
          process.print(
            [
              ...missing.map((one) => `missing ${one}`),
              ...tools.map((one) => (options.lacks?.includes(one) ? "absent" : `version ${one} 1.2`))
            ].join("\n")
          ),
          0
        )
      }
      case "sandboxer-workspace": {
        if (options.workspaceExit !== undefined) return Effect.succeed(options.workspaceExit)
        const folder = HostPath(args[1] ?? "")
        return Effect.as(Effect.zipRight(process.host.makeFolder(folder), process.print(folder)), 0)
      }
      case "sandboxer-collect":
        return Effect.as(
          process.print([...(options.finds ?? []), "E"].map((item) => `${item}\0`).join("")),
          0
        )
      case "sandboxer-project":
        return Effect.as(process.print(`${"c".repeat(40)}\n${"d".repeat(64)}  -\n`), 0)
      default:
        return options.command?.(command, process) ?? Effect.succeed(0)
    }
  }

/** Plans attach mode with settings; what is not given is as small as possible. */
export const attachPlan = (
  inputs: Readonly<Record<string, unknown>>,
  settings: Partial<SettingsShape> = {},
  request: Partial<PlanRequest> = {}
) =>
  vmPacker.modes
    .attach!.plan({
      inputs: { gitignore: false, workspace: "kept", ...inputs },
      secrets: [],
      variables: [],
      prepare: undefined,
      profileFolder: "/",
      requires: { commands: [], freeDisk: undefined },
      host: "local",
      ...request
    })
    .pipe(Effect.provide(layerHome("/nowhere/home", settings)), Effect.provide(platform))

/** Records sandbox 1, and starts no supervisor. */
export const attachWorld = (options: AttachOptions) =>
  Effect.gen(function* () {
    const made: World = yield* world({ extensions: [vmPacker], program: shell(options) })
    const folder = yield* temporaryFolder
    for (const [name, text] of Object.entries(options.project ?? {})) {
      mkdirSync(dirname(`${folder}/project/${name}`), { recursive: true })
      writeFileSync(`${folder}/project/${name}`, text)
    }
    const project = options.project === undefined ? {} : { project: `${folder}/project` }
    const { secrets = [], variables = [] } = options
    const planned = yield* attachPlan(
      { host: "elsewhere", ...project, ...options.inputs },
      {},
      { secrets, variables }
    )
    yield* made.record(
      1,
      plan({
        extension: "ext.vm-packer",
        mode: "attach",
        placement: planned.placement!,
        jobless: planned.jobless!,
        locks: planned.locks!,
        spec: planned.encoded
      }),
      options.values
    )
    return { ...made, folder, workIn: join(made.host.home, "work") }
  })

/** Runs the provision to its end; returns its record, too. */
export const attach = (options: AttachOptions) =>
  Effect.gen(function* () {
    const made = yield* attachWorld(options)
    yield* made.supervise(1)
    return { ...made, record: yield* made.get(1) }
  })

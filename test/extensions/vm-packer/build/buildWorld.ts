/** A world with build mode, and a template to build from. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { basename, HostPath } from "../../../../src/domain/HostPath.js"
import { vmPacker } from "../../../../src/extensions/vm-packer/index.js"
import { Packer } from "../../../../src/packer/Packer.js"
import type { PlanRequest } from "../../../../src/recipe/Extension.js"
import type { SecretValues } from "../../../../src/secrets/Secrets.js"
import { layerHome } from "../../../../src/settings/Settings.js"
import { HostMemory, PackerScripted } from "../../../../src/testing.js"
import { plan, temporaryFolder, type World, world } from "../../../support/inMemory.js"

export interface BuildOptions extends Partial<Omit<PlanRequest, "inputs">> {
  readonly script: PackerScripted.Script
  /** The template's name and text. */
  readonly template?: readonly [name: string, text: string]
  /** The port that Packer waits for in vain. */
  readonly waitsFor?: () => string | undefined
  readonly inputs?: Readonly<Record<string, unknown>>
  readonly values?: SecretValues
  /** Formats that qemu-img recognises, by the last segment of a file's path; it knows no other file. */
  readonly formats?: Readonly<Record<string, string>>
  /** Other programs; `undefined` for one that does nothing. */
  readonly program?: (...given: Parameters<HostMemory.Program>) => ReturnType<HostMemory.Program> | undefined
}

const qemuImg =
  (formats: Readonly<Record<string, string>>): HostMemory.Program =>
  ({ args }, { host, print }) => {
    const [from, to] = args.slice(-2).map(HostPath)
    if (args[0] === "convert") return Effect.as(host.write(to!, `qcow2 of ${basename(from!)}`), 0)
    const format = formats[basename(to!)]
    return format === undefined ? Effect.succeed(1) : Effect.as(print(JSON.stringify({ format })), 0)
  }

/** Records sandbox 1, which builds `demo` from a template, and starts no supervisor. */
export const buildWorld = (options: BuildOptions) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const asked: Array<PackerScripted.Asked> = []
    /** The variables that Packer had when it was asked to build. */
    let variables: string | undefined
    const when: PackerScripted.Script["when"] = (what) =>
      Effect.suspend(() => {
        asked.push(what)
        if (what._tag === "Build") {
          variables = HostMemory.textOf(made.host, what.request.variableFiles.at(-1)!)
        }
        return options.script.when?.(what) ?? Effect.void
      })
    const other = qemuImg(options.formats ?? {})
    const made: World = yield* world({
      extensions: [vmPacker],
      packer: Layer.map(PackerScripted.layer({ ...options.script, when }), (context) =>
        Context.make(Packer, {
          ...Context.get(context, Packer),
          awaitedPort: () => Effect.sync(() => options.waitsFor?.())
        })
      ),
      program: (command, process) =>
        options.program?.(command, process) ??
        (command.program === "qemu-img" ? other(command, process) : Effect.succeed(0))
    })
    const folder = yield* temporaryFolder
    const [name, text] = options.template ?? ["demo.pkr.hcl", 'source "null" "demo" {}']
    const template = `${folder}/${name}`
    yield* fs.writeFileString(template, text)
    const { encoded } = yield* vmPacker.modes
      .build!.plan({
        inputs: { packer_template: template, vm_name: "demo", format: "as-built", ...options.inputs },
        secrets: options.secrets ?? [],
        variables: options.variables ?? [],
        prepare: options.prepare,
        profileFolder: options.profileFolder ?? folder,
        requires: options.requires ?? { commands: [], freeDisk: undefined },
        host: options.host ?? "local"
      })
      .pipe(Effect.provide(layerHome(folder)))
    yield* made.record(1, plan({ extension: "ext.vm-packer", mode: "build", spec: encoded }), options.values)
    return {
      ...made,
      folder,
      asked,
      variables: () => JSON.parse(variables ?? "null") as unknown,
      /** Names of the calls of Packer, without its output. */
      questions: () => asked.map(({ _tag }) => _tag).filter((tag) => tag !== "Said")
    }
  })

/** Runs a build to its end; returns its record, too. */
export const build = (options: BuildOptions) =>
  Effect.gen(function* () {
    const made = yield* buildWorld(options)
    yield* made.supervise(1)
    return { ...made, record: yield* made.get(1) }
  })

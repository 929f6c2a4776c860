/** The plan of build mode: its inputs, their checks, and what follows from them. Reads files, and writes none. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { UsageError } from "../../../domain/Errors.js"
import type { InputDeclarations } from "../../../domain/Input.js"
import { buildPhases, type PhaseName } from "../../../domain/Phase.js"
import type { Lock } from "../../../domain/Plan.js"
import { Prepare } from "../../../domain/Profile.js"
import { formatSize } from "../../../domain/Units.js"
import type { PlanRequest } from "../../../recipe/Extension.js"
import { GivenHardware, readHardware, type TextFile } from "./template/hardware.js"
import { declaresOutputDirectory } from "./template/outputDirectory.js"

/** Formats of an image; `as-built` is whatever the builder makes. */
export const imageFormats = ["ova", "qcow2", "as-built"] as const

/** What happens to the files of a build that fails. */
const errorWays = ["cleanup", "keep"] as const

export const inputs: InputDeclarations = {
  packer_template: {
    type: "path",
    required: true,
    exists: true,
    description: "Packer template: a .pkr.hcl or .json file, or a folder of HCL2 files"
  },
  vm_name: {
    type: "string",
    required: true,
    pattern: "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    description: "Name of the virtual machine, and of its image"
  },
  variables: { type: "map", description: "Variables of the template: -i variables.NAME=VALUE" },
  var_files: { type: "list", items: "path", exists: true, description: "Variable files for the template" },
  only: { type: "list", description: "Run only these builds of the template" },
  except: { type: "list", description: "Skip these builds of the template" },
  on_error: {
    type: "string",
    default: "cleanup",
    choices: [...errorWays],
    description:
      "What happens to the files of a build that fails: cleanup deletes them, keep keeps them (qemu only)"
  },
  force: { type: "boolean", default: false, description: "Replace an image that exists" },
  format: {
    type: "string",
    default: "as-built",
    choices: [...imageFormats],
    description:
      "Format of the image: ova (one file of all disks), qcow2, or as-built (whatever the builder makes)"
  },
  output_directory: {
    type: "path",
    description: "Folder for the image; by default one of its own in the state directory"
  }
}

/** @category model */
export class BuildPlan extends Schema.Class<BuildPlan>("sandboxer/BuildPlan")({
  /** The template: a local file or folder. */
  template: Schema.String,
  /** The local folder that is Packer's working directory. */
  folder: Schema.String,
  /** Whether the template has a `required_plugins` block. */
  asksForPlugins: Schema.Boolean,
  vmName: Schema.String,
  /** Whether the template can write its output to a folder of the attempt's own. */
  takesOutputDirectory: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  /** Values for the template's variables, without `vm_name` and `output_directory`, which are added later. */
  variables: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  /** Names of variables whose values are secret inputs of the same name. */
  secretVariables: Schema.Array(Schema.String),
  /** Local paths. */
  varFiles: Schema.Array(Schema.String),
  only: Schema.Array(Schema.String),
  except: Schema.Array(Schema.String),
  onError: Schema.optionalWith(Schema.Literal(...errorWays), { default: () => "cleanup" as const }),
  force: Schema.Boolean,
  format: Schema.Literal(...imageFormats),
  /** Hardware for the descriptor of an OVA, from the profile and the template. */
  hardware: Schema.Array(GivenHardware),
  /** A local folder; null for the default one in the state directory. */
  outputDirectory: Schema.NullOr(Schema.String),
  prepare: Schema.NullOr(Schema.Struct({ ...Prepare.fields, folder: Schema.String })),
  requires: Schema.Struct({ commands: Schema.Array(Schema.String), freeDisk: Schema.NullOr(Schema.Number) })
}) {}

const templateError = (message: string, hint: string) => new UsageError({ reason: "template", message, hint })

const missing = (file: string, what: string) =>
  templateError(
    `${what} ${file} does not exist or cannot be read`,
    "check the path; it is relative to the working directory, in a profile to its file"
  )

const readFile = (file: string, error: UsageError) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapBoth(fs.readFileString(file), {
      onFailure: () => error,
      onSuccess: (text): TextFile => ({ name: file, text })
    })
  )

/** The template's files, and variable files that Packer reads by itself from the same folder. */
const readTemplate = Effect.fn(function* (template: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const error = missing(template, "template")
  const cannotRead = Effect.mapError(() => error)
  const { type } = yield* cannotRead(fs.stat(template))
  if (type !== "Directory") {
    const file = yield* readFile(template, error)
    if (file.text.trim() === "")
      return yield* templateError(`template ${template} is empty`, "add a build to it")
    return { folder: path.dirname(template), files: [file], variables: [] }
  }
  const names = yield* cannotRead(fs.readDirectory(template))
  const read = (pattern: RegExp) =>
    Effect.forEach(
      names.filter((name) => pattern.test(name)),
      (name) => readFile(path.join(template, name), error)
    )
  const files = yield* read(/\.pkr\.(hcl|json)$/)
  if (files.length === 0) {
    return yield* templateError(
      `template folder ${template} has no *.pkr.hcl or *.pkr.json file`,
      "name the template's file, or the folder its HCL2 files are in"
    )
  }
  return { folder: template, files, variables: yield* read(/\.auto\.pkrvars\.(hcl|json)$/) }
})

const texts = (value: unknown): ReadonlyArray<string> => (Array.isArray(value) ? value.map(String) : [])

/** Makes the plan. Fails if a file cannot be read. */
export const plan = Effect.fn(function* (request: PlanRequest) {
  const { inputs: given } = request
  const template = String(given.packer_template)
  const { files, folder, variables: found } = yield* readTemplate(template)
  const varFiles = texts(given.var_files)
  const named = yield* Effect.forEach(varFiles, (file) => readFile(file, missing(file, "variable file")))
  const declared = Object.entries(given).filter(([name]) => request.variables.includes(name))
  const variables = {
    ...Object.fromEntries(declared),
    ...(given.variables as Record<string, unknown> | undefined)
  }
  return new BuildPlan({
    template,
    folder,
    asksForPlugins: files.some(
      ({ name, text }) => !/(?<!\.pkr)\.json$/.test(name) && /\brequired_plugins\b/.test(text)
    ),
    vmName: String(given.vm_name),
    takesOutputDirectory: "output_directory" in variables || declaresOutputDirectory(files),
    variables,
    secretVariables: request.secrets.filter((name) => request.variables.includes(name)),
    varFiles,
    only: texts(given.only),
    except: texts(given.except),
    onError: given.on_error === "keep" ? "keep" : "cleanup",
    force: given.force === true,
    format: imageFormats.find((format) => format === given.format) ?? "as-built",
    hardware: readHardware({
      profile: request.hardware,
      template: files,
      variableFiles: [...found, ...named],
      variables
    }),
    outputDirectory: typeof given.output_directory === "string" ? given.output_directory : null,
    prepare: request.prepare === undefined ? null : { ...request.prepare, folder: request.profileFolder },
    requires: { commands: request.requires.commands, freeDisk: request.requires.freeDisk ?? null }
  })
})

/** The actions of this plan, a line each. */
export const describe = (build: BuildPlan): ReadonlyArray<string> => [
  `check that ${[...new Set(["packer", ...build.requires.commands])].join(", ")} can be run` +
    (build.requires.freeDisk === null ? "" : ` and that ${formatSize(build.requires.freeDisk)} are free`),
  ...(build.prepare === null
    ? []
    : [
        `make ${build.prepare.produces} with ${build.prepare.command.join(" ")}, unless it was made from the same inputs before`
      ]),
  ...(build.asksForPlugins ? ["install the plugins that the template asks for (packer init)"] : []),
  `run packer build ${build.template} in ${build.folder}`,
  ...(build.onError === "keep" ? ["if it fails, keep the files that it has made so far"] : []),
  `keep the image as ${build.format === "as-built" ? "the builder makes it" : build.format} in ${build.outputDirectory ?? "the state directory"}, called ${build.vmName}`
]

/** The builds that will run, of all that the template has; where `only` has a pattern, those that may. */
export const selectedBuilds = (
  { except, only }: BuildPlan,
  builds: ReadonlyArray<string>
): ReadonlyArray<string> =>
  builds.filter(
    (name) =>
      (only.includes(name) || !only.every((one) => builds.includes(one)) || only.length === 0) &&
      !except.includes(name)
  )

/** The phases that this plan may go through; the template's builders may skip some of Packer's. */
export const phases = ({ format, prepare }: BuildPlan): ReadonlyArray<PhaseName> =>
  buildPhases.filter(
    (phase) => (phase !== "prepare" || prepare !== null) && (phase !== "package" || format !== "as-built")
  )

/** The name; and the template's folder, if every build of the template writes to the same place. */
export const locks = ({ folder, takesOutputDirectory, vmName }: BuildPlan): ReadonlyArray<Lock> => [
  { key: `vm_name/${vmName}`, what: `the name ${vmName}` },
  ...(takesOutputDirectory ? [] : [{ key: `template/${folder}`, what: `the template's folder ${folder}` }])
]

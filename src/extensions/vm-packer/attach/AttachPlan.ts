/** The plan of attach mode: its inputs, their checks, and what follows from them. Writes nothing, and connects to no machine. */
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { InputDeclarations } from "../../../domain/Input.js"
import type { PhaseName } from "../../../domain/Phase.js"
import { Placement } from "../../../domain/Placement.js"
import type { Lock } from "../../../domain/Plan.js"
import { formatSize } from "../../../domain/Units.js"
import type { PlanRequest } from "../../../recipe/Extension.js"
import { Settings } from "../../../settings/Settings.js"
import { checkInto, checkPattern, checkWorkdir, hasNul, isFolder, readEnvironment, wrong } from "./checks.js"
import { placementOf } from "./machine.js"
import { below } from "./Project.js"

/** What happens to a workspace when its sandbox ends. */
const workspaceKinds = ["kept", "fresh"] as const

export const inputs: InputDeclarations = {
  host: {
    type: "string",
    pattern: "[A-Za-z0-9_\\[][A-Za-z0-9._:%\\]-]*",
    description: "Machine: a host of the configuration, a name or address, an alias of OpenSSH, or local"
  },
  port: { type: "integer", description: "SSH port, unless OpenSSH's configuration has it" },
  user: {
    type: "string",
    pattern: "[A-Za-z0-9_][A-Za-z0-9._@+\\\\-]*",
    description: "User to log in as, unless OpenSSH's configuration has it"
  },
  identity_file: { type: "path", exists: true, description: "Private key to log in with" },
  vm_name: {
    type: "string",
    pattern: "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    description: "A machine of the port registry, which has defaults for host, port and user"
  },
  project: {
    type: "path",
    exists: true,
    description: "Local folder whose contents become the workspace on the machine"
  },
  exclude: { type: "list", description: "Patterns of rsync: files that are neither sent nor deleted" },
  gitignore: { type: "boolean", default: false, description: "Also exclude what .gitignore files name" },
  workdir: { type: "string", description: "Folder on the machine that is used as the workspace, and kept" },
  workspace: {
    type: "string",
    default: "kept",
    choices: [...workspaceKinds],
    description: "kept: one for each project, which later sandboxes update; fresh: one for this sandbox only"
  },
  command: { type: "string", description: "Shell command to run in the workspace" },
  collect: {
    type: "list",
    description: "Files, folders or globs of the workspace to bring back, with their relative paths"
  },
  into: {
    type: "path",
    description: "Local folder for these files; by default one of its own in the state directory"
  },
  tools: { type: "list", description: "Commands whose --version is recorded in the receipt" }
}

/** @category model */
export class AttachPlan extends Schema.Class<AttachPlan>("sandboxer/AttachPlan")({
  /** The default name of the sandbox, and of the folder of its results. */
  name: Schema.String,
  placement: Placement,
  /** As the user gave it: absolute, or relative to the home directory on the machine. */
  workdir: Schema.NullOr(Schema.String),
  workspace: Schema.Literal(...workspaceKinds),
  /** A local folder. */
  project: Schema.NullOr(Schema.String),
  exclude: Schema.Array(Schema.String),
  gitignore: Schema.Boolean,
  command: Schema.NullOr(Schema.String),
  /** Variables of the command's environment, without those that are secrets. */
  environment: Schema.Record({ key: Schema.String, value: Schema.String }),
  secretEnvironment: Schema.Array(Schema.String),
  collect: Schema.Array(Schema.String),
  /** A local folder; null for the default one in the state directory. */
  into: Schema.NullOr(Schema.String),
  tools: Schema.Array(Schema.String),
  requires: Schema.Struct({ commands: Schema.Array(Schema.String), freeDisk: Schema.NullOr(Schema.Number) })
}) {}

const texts = (value: unknown): ReadonlyArray<string> => (Array.isArray(value) ? value.map(String) : [])
const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

/** Makes a text usable as part of a file name. */
export const safe = (name: string) =>
  name
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .replaceAll(/^[^A-Za-z0-9]+/g, "")
    .slice(0, 64)

/** Makes the plan, and with it the placement. Fails for inputs that do not fit together. */
export const plan = Effect.fn(function* (request: PlanRequest) {
  const { inputs: given } = request
  const path = yield* Path.Path
  const { home } = yield* Settings
  const [command, project, workdir, into] = [given.command, given.project, given.workdir, given.into].map(
    text
  )
  const [collect, tools] = [texts(given.collect), texts(given.tools)]
  const vmName = text(given.vm_name)
  const identityFile = text(given.identity_file)

  if (command !== undefined && (command.trim() === "" || hasNul(command))) {
    return yield* wrong("command", "it is empty", "give a line for the shell, or leave it out")
  }
  if (command === undefined && (collect.length > 0 || into !== undefined)) {
    return yield* wrong(
      collect.length > 0 ? "collect" : "into",
      "it needs a command that makes files",
      "give one: -i command=…"
    )
  }
  if (workdir !== undefined) yield* checkWorkdir(workdir)
  if (workdir !== undefined && given.workspace === "fresh") {
    return yield* wrong("workspace", "fresh cannot be combined with workdir", "leave one of the two out")
  }
  yield* Effect.forEach(collect, checkPattern, { discard: true })
  if (into !== undefined) yield* checkInto(into)
  if (project !== undefined && (yield* isFolder(project)) !== true) {
    return yield* wrong("project", `there is no folder ${project}`, "name a folder that can be read")
  }
  if (identityFile !== undefined && (yield* isFolder(identityFile)) !== false) {
    return yield* wrong(
      "identity_file",
      `there is no file ${identityFile}`,
      "name a private key that can be read"
    )
  }
  const placement = yield* placementOf(
    {
      host: text(given.host),
      port: typeof given.port === "number" ? given.port : undefined,
      user: text(given.user),
      identityFile,
      vmName
    },
    request.host
  )
  // The state directory is no part of a project that contains it, and has secrets in it.
  const state = project === undefined ? undefined : below(project, home)
  return new AttachPlan({
    name: safe(vmName ?? (project === undefined ? placement.host : path.basename(project))) || "attached",
    placement,
    workdir: workdir ?? null,
    workspace: given.workspace === "fresh" ? "fresh" : "kept",
    project: project ?? null,
    exclude: [
      ...(state === undefined ? [] : [`/${state.replaceAll(/[*?[\\]/g, "\\$&")}`]),
      ...texts(given.exclude)
    ],
    gitignore: given.gitignore === true,
    command: command ?? null,
    ...(yield* readEnvironment(request)),
    collect: collect.map((pattern) => pattern.replaceAll(/\/+/g, "/").replaceAll(/^(?:\.\/)+(?=.)/g, "")),
    into: into ?? null,
    tools,
    requires: { commands: request.requires.commands, freeDisk: request.requires.freeDisk ?? null }
  })
})

/** Whether a workspace is used; otherwise the machine is only checked. */
export const hasWorkspace = ({ command, project }: AttachPlan): boolean =>
  command !== null || project !== null

/** Whether a folder is opened on the machine: a workspace, or the `workdir`. */
export const opensWorkspace = (plan: AttachPlan): boolean => hasWorkspace(plan) || plan.workdir !== null

export const phases = (plan: AttachPlan): ReadonlyArray<PhaseName> => [
  "reach",
  ...(opensWorkspace(plan) ? (["workspace"] as const) : []),
  ...(plan.project === null ? [] : (["sync"] as const)),
  ...(plan.command === null ? [] : (["run"] as const)),
  ...(plan.collect.length === 0 ? [] : (["collect"] as const))
]

const where = ({ connection, host }: Placement) =>
  connection === undefined
    ? host
    : `${connection.user === null ? "" : `${connection.user}@`}${host}${connection.port === null ? "" : ` port ${connection.port}`}`

/** The workspace, unless it is a fresh one, which no other sandbox uses. */
export const locks = (attach: AttachPlan): ReadonlyArray<Lock> => {
  if (!hasWorkspace(attach) || (attach.workdir === null && attach.workspace === "fresh")) return []
  const { placement, project, workdir } = attach
  const { host, port, user } = placement.connection ?? { host: placement.host, port: null, user: null }
  const folder = workdir ?? `workspace of ${project ?? "commands"}`
  return [
    {
      key: `workspace/${user ?? ""}@${host}:${port ?? ""}/${folder}`,
      what: `${workdir ?? `the workspace of ${project ?? "commands without a project"}`} on ${placement.host}`
    }
  ]
}

/** The actions of this plan, a line each. */
export const describe = (attach: AttachPlan): ReadonlyArray<string> => {
  const { collect, command, into, placement, project, requires, workdir, workspace } = attach
  const needed = [...new Set([...requires.commands, ...(project === null ? [] : ["rsync"])])]
  const folder = workdir ?? (workspace === "fresh" ? "a workspace of its own" : "its workspace")
  return [
    `reach ${where(placement)}${needed.length === 0 ? "" : `, and check that ${needed.join(", ")} can be run there`}` +
      (requires.freeDisk === null ? "" : ` and that ${formatSize(requires.freeDisk)} are free`),
    ...(project === null
      ? []
      : [`make ${folder} there the same as ${project}, which may delete files in that folder alone`]),
    ...(command === null ? [] : [`run in ${folder}: ${command}`]),
    ...(collect.length === 0
      ? []
      : [`bring ${collect.join(", ")} back into ${into ?? "a folder in the state directory"}`]),
    ...(command === null ? [] : ["write a receipt"])
  ]
}

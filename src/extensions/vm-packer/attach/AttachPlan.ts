/** What attach mode is asked for, read and checked; nothing is written here, and no machine is reached. */
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

/** What becomes of a workspace when its sandbox ends. */
const workspaceKinds = ["kept", "fresh"] as const

export const inputs: InputDeclarations = {
  host: {
    type: "string",
    pattern: "[A-Za-z0-9_\\[][A-Za-z0-9._:%\\]-]*",
    description:
      "The machine: a host of the configuration, a name or address, an alias of OpenSSH's, or local"
  },
  port: { type: "integer", description: "Its SSH port, where OpenSSH's configuration does not say" },
  user: {
    type: "string",
    pattern: "[A-Za-z0-9_][A-Za-z0-9._@+\\\\-]*",
    description: "Who to log in as, where OpenSSH's configuration does not say"
  },
  identity_file: { type: "path", exists: true, description: "The private key to log in with" },
  vm_name: {
    type: "string",
    pattern: "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    description: "A machine of the port registry, which tells what is not given of host, port and user"
  },
  project: {
    type: "path",
    exists: true,
    description: "A local folder: its contents become the workspace on the machine"
  },
  exclude: { type: "list", description: "What of the project is neither sent nor deleted: rsync's patterns" },
  gitignore: { type: "boolean", default: false, description: "Leave out what .gitignore files name, too" },
  workdir: { type: "string", description: "A folder there that is the workspace itself, and stays" },
  workspace: {
    type: "string",
    default: "kept",
    choices: [...workspaceKinds],
    description: "kept: the same each time for a project, and incremental; fresh: for this sandbox alone"
  },
  command: { type: "string", description: "A line for the machine's shell, run in the workspace" },
  collect: {
    type: "list",
    description: "What of the workspace is brought back: paths, folders or globs; each with its relative path"
  },
  into: {
    type: "path",
    description: "Where that goes; by default a folder of its own in the state directory"
  },
  tools: { type: "list", description: "Commands whose --version goes into the receipt" }
}

/** @category model */
export class AttachPlan extends Schema.Class<AttachPlan>("sandboxer/AttachPlan")({
  /** What the sandbox is called by default, and the folder of its results. */
  name: Schema.String,
  placement: Placement,
  /** As it was given: absolute, or relative to the home there. */
  workdir: Schema.NullOr(Schema.String),
  workspace: Schema.Literal(...workspaceKinds),
  /** A local folder. */
  project: Schema.NullOr(Schema.String),
  exclude: Schema.Array(Schema.String),
  gitignore: Schema.Boolean,
  command: Schema.NullOr(Schema.String),
  /** Variables of the command's environment, secrets aside: of those, the names of the inputs. */
  environment: Schema.Record({ key: Schema.String, value: Schema.String }),
  secretEnvironment: Schema.Array(Schema.String),
  collect: Schema.Array(Schema.String),
  /** A local folder; null for one of the sandbox's own. */
  into: Schema.NullOr(Schema.String),
  tools: Schema.Array(Schema.String),
  requires: Schema.Struct({ commands: Schema.Array(Schema.String), freeDisk: Schema.NullOr(Schema.Number) })
}) {}

const texts = (value: unknown): ReadonlyArray<string> => (Array.isArray(value) ? value.map(String) : [])
const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

/** A text as part of a name. */
export const safe = (name: string) =>
  name
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .replaceAll(/^[^A-Za-z0-9]+/g, "")
    .slice(0, 64)

/** Checks that what is asked for fits together, and finds out which machine is meant. */
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
      "there is no command that would make anything",
      "give one: -i command=…"
    )
  }
  if (workdir !== undefined) yield* checkWorkdir(workdir)
  if (workdir !== undefined && given.workspace === "fresh") {
    return yield* wrong(
      "workspace",
      "a workdir that is given is not fresh",
      "give one of workspace and workdir"
    )
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
  // What sandboxer keeps is not the project's, and has secrets in it.
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

/** Whether anything is done in a workspace; else the machine is only looked at. */
export const hasWorkspace = ({ command, project }: AttachPlan): boolean =>
  command !== null || project !== null

/** Whether a folder there is made ready: a workspace, or one that was given. */
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

/** What nobody else may use meanwhile: the workspace, unless it is a fresh one. */
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

/** What will be done and why, a line each. */
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
    ...(command === null ? [] : ["write a receipt of it"])
  ]
}

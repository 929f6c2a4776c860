/** The folder on a build machine that a project lies in. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ProvisionError } from "../../../../domain/Failure.js"
import { HostPath, HostPathFromString, join } from "../../../../domain/HostPath.js"
import type { SandboxId } from "../../../../domain/Sandbox.js"
import { Host, Hosts, type SyncOptions } from "../../../../hosts/Host.js"
import type { Teardown, TeardownRequest } from "../../../../recipe/Extension.js"
import { Provision } from "../../../../recipe/Provision.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import { type AttachPlan, hasWorkspace, opensWorkspace, safe } from "../AttachPlan.js"
import * as Project from "../Project.js"

/** In a folder that we made, or that was given to us empty: files may be deleted there that the project has not. */
export const marker = ".sandboxer-workspace"

const digest = (text: string) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  )

/** A workspace of ours: the same each time for who one is here, this machine and the project, or one for a sandbox. */
const ownFolder = Effect.fn(function* (plan: AttachPlan, id: SandboxId) {
  const host = yield* Host
  const name = safe(plan.project?.split("/").at(-1) ?? "") || "commands"
  if (plan.workspace === "fresh") return join(host.home, "work", `${id}-${name}`)
  const local = yield* Effect.flatMap(Hosts, (hosts) => hosts.get({ host: "local" }))
  const { host: machine, user } = yield* local.identity
  const key = yield* digest([user, machine, plan.project ?? ""].join("\0"))
  return join(host.home, "work", `${key.slice(0, 16)}-${name}`)
})

/**
 * Makes the folder $2, unless it is there, and prints its path without links. $1 says what it is: `own`, one of ours;
 * `filled`, one that was given and that a project will be put into; `used`, one that was given to run commands in.
 * Ends with 3 where it cannot be a workspace, with 4 where it has somebody's files in it.
 */
const program = `
set -eu
umask 077
kind=$1 folder=$2 marker=$3
case $folder in
  /*) ;;
  '~/'* | '$HOME/'* | '\${HOME}/'*) folder=$HOME/\${folder#*/} ;;
  *) folder=$HOME/$folder ;;
esac
[ -d "$folder" ] || mkdir -p "$folder"
real=$(cd "$folder" && pwd -P)
home=$(cd && pwd -P)
case $home/ in "\${real%/}/"*) exit 3 ;; esac
if [ "$kind" = filled ] && [ ! -e "$real/$marker" ] && [ -n "$(ls -A "$real")" ]; then exit 4; fi
if [ "$kind" != used ]; then : >>"$real/$marker"; fi
printf '%s' "$real"
`

/** Has the workspace there; `undefined` where nothing will be done in one, and none was given. */
export const openWorkspace = Effect.fn(function* (plan: AttachPlan) {
  const host = yield* Host
  const reporter = yield* Reporter
  const steps = yield* Steps
  const { id } = yield* Provision
  const { project, workdir } = plan
  if (!opensWorkspace(plan)) return undefined
  yield* reporter.phase("workspace")
  const opened = Effect.gen(function* () {
    const [fence, folder] = yield* Effect.all(
      [steps.fence, workdir === null ? ownFolder(plan, id) : Effect.succeed(workdir)],
      { concurrency: "unbounded" }
    )
    const kind = workdir === null ? "own" : project === null ? "used" : "filled"
    const { exitCode, stderr, stdout } = yield* host.run(
      { program: "sh", args: ["-c", program, "sandboxer-workspace", kind, folder, marker] },
      { brief: true, fence }
    )
    switch (exitCode) {
      case 0:
        return HostPath(stdout)
      case 3:
        return yield* new ProvisionError({
          reason: "input-invalid",
          message: `${folder} on ${host.name} is the home directory, or one above it`,
          hint: "name a folder of its own, which may yet have to be made: -i workdir=…"
        })
      case 4:
        return yield* new ProvisionError({
          reason: "output-exists",
          message: `${folder} on ${host.name} has files in it that are not ours, and would be deleted`,
          hint: `name another folder, or if all in it may go: touch ${folder}/${marker}`
        })
      default:
        return yield* new ProvisionError({
          reason: "host-files",
          message: `the workspace ${folder} on ${host.name} cannot be used: ${stderr.trim()}`,
          hint: "check who owns it there, its permissions, and the space there"
        })
    }
  })
  return yield* steps.step("workspace", HostPathFromString, opened)
})

/** How a project comes to its workspace. */
const syncOptions = (plan: AttachPlan, dryRun: boolean): SyncOptions => ({
  exclude: [`/${marker}`, ...plan.exclude],
  gitignore: plan.gitignore,
  dryRun
})

/** As many names as a line may have. */
const mostNamed = 10

const Synced = Schema.Struct({ sent: Schema.Number, deleted: Schema.Number })

/**
 * Makes the workspace the same as the project, once: whoever takes over is not to change files under the command, nor
 * is whoever was overtaken, under that of the next sandbox that uses the workspace.
 * Links are sent as links; those that lead out of the project are told of.
 */
export const sync = Effect.fn(function* (plan: AttachPlan, workspace: HostPath | undefined) {
  const { project } = plan
  if (project === null || workspace === undefined) return
  const host = yield* Host
  const reporter = yield* Reporter
  const steps = yield* Steps
  yield* reporter.phase("sync")
  const synced = Effect.gen(function* () {
    const fence = yield* steps.fence
    const [changes, links] = yield* Effect.all(
      [host.sync(project, workspace, { ...syncOptions(plan, false), fence }), Project.linksOut(project)],
      { concurrency: "unbounded" }
    )
    if (links.length > 0) {
      const named = links.slice(0, mostNamed).join(", ")
      const more = links.length > mostNamed ? ` and ${links.length - mostNamed} more` : ""
      yield* reporter.warning(
        "links-out",
        `links that lead out of the project are sent as links, and may lead to something else there: ${named}${more}`
      )
    }
    const files = changes.filter(({ path }) => !path.endsWith("/"))
    const deleted = files.filter(({ kind }) => kind === "deleted").length
    return { sent: files.length - deleted, deleted }
  })
  const { deleted, sent } = yield* steps.step("sync", Synced, synced)
  yield* reporter.note("synced", `sent ${sent} files, deleted ${deleted}`, { sent, deleted })
})

/** The same for a sandbox that is ready, on demand. */
export const syncAgain = (plan: AttachPlan) => {
  const { project } = plan
  return project === null
    ? undefined
    : (workspace: HostPath, { dryRun }: { readonly dryRun: boolean }) =>
        Effect.flatMap(Host, (host) => host.sync(project, workspace, syncOptions(plan, dryRun)))
}

/** What goes when the sandbox ends: a workspace of its own; one that is kept on demand alone; never one that was given. */
export const teardown = (
  plan: AttachPlan,
  { deleteWorkspace, id }: TeardownRequest
): Teardown | undefined => {
  if (plan.workdir !== null || !hasWorkspace(plan)) return undefined
  if (plan.workspace !== "fresh" && !deleteWorkspace) return undefined
  return {
    what:
      plan.workspace === "fresh"
        ? `its workspace, ~/.sandboxer/work/${id}-…`
        : `the workspace of ${plan.project ?? "commands without a project"}, below ~/.sandboxer/work`,
    remove: Effect.gen(function* () {
      const host = yield* Host
      yield* host.remove(yield* ownFolder(plan, id))
    })
  }
}

import * as Effect from "effect/Effect"
import { ProvisionError } from "../../../../domain/Failure.js"
import { HostPath, HostPathFromString, join } from "../../../../domain/HostPath.js"
import type { SandboxId } from "../../../../domain/Sandbox.js"
import { Host, Hosts } from "../../../../hosts/Host.js"
import type { Teardown, TeardownRequest } from "../../../../recipe/Extension.js"
import { Provision } from "../../../../recipe/Provision.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import { type AttachPlan, hasWorkspace, opensWorkspace, safe } from "../AttachPlan.js"

/** The file that marks a folder in which `sync` may delete: sandboxer made it, or it was empty. */
export const marker = ".sandboxer-workspace"

const digest = (text: string) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  )

/** A workspace in sandboxer's folder: the sandbox's own, or the same for each user, local machine and project. */
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
 * Makes the folder $2 if it is missing, and prints its path without links. $1 is its kind: `own` (in sandboxer's
 * folder), `filled` (given by the user, for a project) or `used` (given by the user, for commands alone). Exits with 3
 * for a folder that cannot be a workspace, and with 4 for one that has files of others.
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

/**
 * Makes the workspace if it is missing, and returns its path; `undefined` if the plan neither uses nor names one.
 *
 * Journaled: the command may have removed or filled the folder since. `teardown` says what is removed when the sandbox
 * ends.
 */
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
          hint: "name a folder for this purpose; it is made if it is missing: -i workdir=…"
        })
      case 4:
        return yield* new ProvisionError({
          reason: "output-exists",
          message: `${folder} on ${host.name} has files of others, which would be deleted`,
          hint: `name another folder, or if all of them may be deleted: touch ${folder}/${marker}`
        })
      default:
        return yield* new ProvisionError({
          reason: "host-files",
          message: `the workspace ${folder} on ${host.name} cannot be used: ${stderr.trim()}`,
          hint: "check its owner, its permissions, and the space on that machine"
        })
    }
  })
  return yield* steps.step("workspace", HostPathFromString, opened)
})

/**
 * Removes the workspace when the sandbox ends: a fresh one always, a kept one on demand, and never a folder that the
 * user gave.
 */
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

import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { HostPath } from "../../../../domain/HostPath.js"
import { Host, type SyncOptions } from "../../../../hosts/Host.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { AttachPlan } from "../AttachPlan.js"
import * as Project from "../Project.js"
import { marker } from "./openWorkspace.js"

/** How many links a warning names. */
const mostNamed = 10

const Synced = Schema.Struct({ sent: Schema.Number, deleted: Schema.Number })

/**
 * Makes the workspace equal to the project. Links are sent as links; there is a warning for those that lead out of the
 * project.
 *
 * Journaled, so that a supervisor that takes over changes no file under the running command. Fenced, so that an outdated
 * supervisor changes none under the command of the next sandbox in this workspace. What was sent stays with the
 * workspace.
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
        `links that lead out of the project are sent as links, and may lead to other files there: ${named}${more}`
      )
    }
    const files = changes.filter(({ path }) => !path.endsWith("/"))
    const deleted = files.filter(({ kind }) => kind === "deleted").length
    return { sent: files.length - deleted, deleted }
  })
  const { deleted, sent } = yield* steps.step("sync", Synced, synced)
  yield* reporter.note("synced", `sent ${sent} files, deleted ${deleted}`, { sent, deleted })
})

/** Makes the workspace of a sandbox that is ready equal to the project again: `sandboxer sync`. */
export const syncAgain = (plan: AttachPlan) => {
  const { project } = plan
  return project === null
    ? undefined
    : (workspace: HostPath, { dryRun }: { readonly dryRun: boolean }) =>
        Effect.flatMap(Host, (host) => host.sync(project, workspace, syncOptions(plan, dryRun)))
}

const syncOptions = (plan: AttachPlan, dryRun: boolean): SyncOptions => ({
  exclude: [`/${marker}`, ...plan.exclude],
  gitignore: plan.gitignore,
  dryRun
})

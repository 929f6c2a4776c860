import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Artifacts } from "../../../../artifacts/Artifacts.js"
import type { HostPath } from "../../../../domain/HostPath.js"
import { type CollectedFile, Receipt, type Revision } from "../../../../domain/Receipt.js"
import { Provision } from "../../../../recipe/Provision.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { AttachPlan } from "../AttachPlan.js"
import type { Machine } from "./reach.js"
import type { CommandRun } from "./runCommand.js"

/**
 * Writes the receipt next to the results, also for a command that failed.
 *
 * Journaled: the receipt is written once. It stays when the provision fails, unlike the results.
 */
export const writeReceipt = Effect.fn(function* (
  plan: AttachPlan,
  of: {
    readonly machine: Machine
    readonly revision: Revision | null
    readonly workspace: HostPath | undefined
    readonly run: CommandRun | undefined
    readonly files: ReadonlyArray<CollectedFile>
  }
) {
  const { files, machine, run, workspace } = of
  if (run === undefined || workspace === undefined) return
  const artifacts = yield* Artifacts
  const reporter = yield* Reporter
  const steps = yield* Steps
  const { attempt, id } = yield* Provision
  const { tools, ...host } = machine
  const receipt = new Receipt({
    sandboxId: id,
    attempt,
    project: plan.project === null ? null : { path: plan.project, revision: of.revision },
    host,
    workspace,
    command: reporter.redact(run.command),
    environment: [...Object.keys(plan.environment), ...plan.secretEnvironment].sort(),
    tools,
    startedAt: DateTime.unsafeMake(run.startedAt),
    endedAt: DateTime.unsafeMake(run.endedAt),
    exitCode: run.exitCode,
    files
  })
  const folder = plan.into ?? artifacts.defaultFolder(plan.name)
  yield* steps.step(
    "receipt",
    Schema.Null,
    Effect.as(artifacts.receipt(receipt, { folder, own: plan.into === null }), null)
  )
})

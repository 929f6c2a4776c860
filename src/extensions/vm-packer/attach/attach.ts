import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Artifacts } from "../../../artifacts/Artifacts.js"
import type { Host, Hosts } from "../../../hosts/Host.js"
import type { Provisioned } from "../../../recipe/Extension.js"
import type { Provision } from "../../../recipe/Provision.js"
import type { RecipeError } from "../../../recipe/Recipe.js"
import type { Reporter } from "../../../recipe/Reporter.js"
import type { Steps } from "../../../recipe/Steps.js"
import type { AttachPlan } from "./AttachPlan.js"
import { collect } from "./steps/collect.js"
import { failAsCommand } from "./steps/failAsCommand.js"
import { openWorkspace } from "./steps/openWorkspace.js"
import { reach } from "./steps/reach.js"
import { revision } from "./steps/revision.js"
import { runCommand } from "./steps/runCommand.js"
import { sync } from "./steps/sync.js"
import { writeReceipt } from "./steps/writeReceipt.js"

/** The services of attach mode. Packer is not among them. */
export type AttachServices = Artifacts | Host | Hosts | Provision | Reporter | Steps

/** Attach mode: uses an existing machine. With a project and a command, builds there and fetches the results. */
export const attach = (plan: AttachPlan): Effect.Effect<Provisioned, RecipeError, AttachServices> =>
  Effect.gen(function* () {
    const machine = yield* reach(plan)
    const workspace = yield* openWorkspace(plan)
    const sent = yield* revision(plan)
    yield* sync(plan, workspace)
    const run = yield* runCommand(plan, workspace)
    const collected = yield* Effect.either(collect(plan, workspace, run))
    const files = Either.getOrElse(collected, () => [])
    // Before any failure, which the receipt reports too.
    yield* writeReceipt(plan, { machine, revision: sent, workspace, run, files })
    yield* failAsCommand(run)
    yield* collected
    const { host, port, user } = machine
    return { artifacts: [], endpoint: { host, port, user, workdir: workspace ?? null } }
  })

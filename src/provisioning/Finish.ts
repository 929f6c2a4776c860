/** What is done once a provision has ended, in which order, and whether it is tried again. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Artifacts } from "../artifacts/Artifacts.js"
import * as Event from "../domain/events/Event.js"
import { join } from "../domain/HostPath.js"
import type { Plan } from "../domain/Plan.js"
import { resetForRetry, type Sandbox } from "../domain/Sandbox.js"
import type { HostShape } from "../hosts/Host.js"
import type { RecipeError } from "../recipe/Recipe.js"
import { retain } from "../recipe/RetainOnFailure.js"
import { fenceKey, folderOf, hasFolder, isFence, removeFolder } from "../recipe/Steps.js"
import { Secrets } from "../secrets/Secrets.js"
import { stopGraceIn } from "../settings/Timing.js"
import { type Lease, SandboxStore, type Step } from "../store/SandboxStore.js"
import { type End, type FailedEnd, failureOf, outcome, withWayOut } from "./End.js"

/**
 * Stops every job that steps have, takes their fences down, and proves that nothing of them runs: how many processes had to
 * be killed.
 */
const stopJobs = (host: HostShape, steps: ReadonlyArray<Step>, graceSeconds: number) =>
  Effect.map(
    Effect.forEach(
      steps.flatMap(({ job }) => (job === null ? [] : [job])),
      ({ folder, stop }) => host.stopJob(folder, { stop, graceSeconds }),
      { concurrency: "unbounded" }
    ),
    (stopped) => ({
      jobs: steps.filter((step) => step.job !== null && !isFence(step)).length,
      killed: stopped.reduce((sum, { killed }) => sum + killed, 0),
      left: 0
    })
  )

/** Keeps what a failure is to be looked into with; its hint says where. */
const keepFiles = (
  { id }: Lease,
  attempt: number,
  host: HostShape,
  steps: ReadonlyArray<Step>,
  end: FailedEnd
) =>
  Effect.suspend(() => {
    const { failure } = end
    const also = (more: string): End => ({
      ...end,
      failure: { ...failure, hint: `${failure.hint.replace(/\.$/, "")}; ${more}` }
    })
    return retain(host, { id, attempt }, steps).pipe(
      Effect.map((kept) =>
        kept === undefined
          ? end
          : also(`what it had made by then is kept in ${kept} until you or reap remove it`)
      ),
      // It failed already: it is not to fail to end, too.
      Effect.catchTag("HostError", ({ message }) => Effect.succeed(also(message)))
    )
  })

/** Whether a provision that ended so is tried again, as its plan has it. */
const isTriedAgain = (lease: Lease, { attempt }: Sandbox, { retry }: Plan, end: End) =>
  end.state === "failed" && retry !== null && attempt <= retry.times && retry.on.includes(end.failure.reason)
    ? Effect.flatMap(SandboxStore, (store) => Effect.map(store.cancelRequested(lease.id), (asked) => !asked))
    : Effect.succeed(false)

/** Has the next attempt begin; the name, and all that it waited for, stay its own. */
const beginAnew = (lease: Lease, { attempt, logPath }: Sandbox, { retry }: Plan, { failure }: FailedEnd) =>
  Effect.flatMap(SandboxStore, (store) =>
    store.commit(lease, {
      change: { ...resetForRetry(attempt + 1), state: "provisioning" },
      events: [Event.retrying({ attempt, times: retry?.times ?? 0, failure, logPath })]
    })
  )

/**
 * Cleans up and says how it ended, in this order: an end that is recorded has nothing left behind. Gives whether it is
 * to be tried again.
 */
export const finish = (lease: Lease, sandbox: Sandbox, plan: Plan, host: HostShape, end: End) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const secrets = yield* Secrets
    const artifacts = yield* Artifacts
    const asked =
      end.state === "cancelled" ||
      (end.state === "failed" && ["timed-out", "stalled"].includes(end.failure.reason))
    const phase = (yield* store.get(lease.id))?.phase?.name
    const steps = yield* store.steps(lease.id, sandbox.attempt)
    // Where nothing was interrupted, nothing of its own is under way behind its fence.
    const isOver = plan.jobless && end.state === "ready"
    const proof = yield* stopJobs(
      host,
      isOver ? steps.filter(({ key }) => key !== fenceKey(lease.term)) : steps,
      asked ? Duration.toSeconds(yield* stopGraceIn(phase)) : 0
    )
    if (end.state !== "ready") yield* artifacts.withdraw
    // A jobless plan has an attempt folder only if one of its steps needed it.
    const removed =
      !plan.jobless || hasFolder(steps) ? removeFolder(host, lease.id, sandbox.attempt) : Effect.void
    const told = end.state === "failed" ? yield* keepFiles(lease, sandbox.attempt, host, steps, end) : end
    if (told.state === "failed" && (yield* isTriedAgain(lease, sandbox, plan, told))) {
      // What the attempt had goes; secrets, which may lie beside it, are needed again.
      yield* removed
      yield* beginAnew(lease, sandbox, plan, told)
      return true
    }
    yield* secrets.forget(lease.id, sandbox.attempt)
    yield* removed
    const ended = yield* outcome(withWayOut(told, sandbox), sandbox.attempt, plan, proof)
    yield* store.commit(lease, { ...ended, release: true })
    return false
  })

// What fails outside of the recipe: the host cannot be had, or what is left cannot be cleaned up.
export const giveUp = (lease: Lease, sandbox: Sandbox, plan: Plan, error: RecipeError) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const secrets = yield* Secrets
    if (error._tag === "StoreError") return yield* error
    const end = { state: "failed" as const, failure: failureOf(error, []) }
    if (yield* isTriedAgain(lease, sandbox, plan, end)) {
      yield* beginAnew(lease, sandbox, plan, end)
      return true
    }
    yield* secrets.forget(lease.id, sandbox.attempt)
    const ended = yield* outcome(end, sandbox.attempt, plan, { jobs: 0, killed: 0, left: 0 })
    yield* store.commit(lease, { ...ended, release: true })
    return false
  })

/** What tells of a Job that it was started: it never starts again. */
const traces = ["claim", "identity", "exit"]

/**
 * On a disk that is full the end cannot be journaled before what filled it is gone. What ran is over in any case; that
 * it ran stays known, should this not be enough.
 */
export const makeRoom = (lease: Lease, attempt: number, host: HostShape) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const steps = yield* store.steps(lease.id, attempt)
    yield* stopJobs(host, steps, 0)
    const folder = join(folderOf(host.home, lease.id), String(attempt))
    const jobs = steps.flatMap(({ job }) => job?.folder ?? [])
    const inFolders = Effect.forEach([folder, ...jobs], (one) =>
      Effect.map(
        Effect.orElseSucceed(host.list(one), () => []),
        (names) => names.map((name) => join(one, name))
      )
    )
    const kept = new Set([...jobs, ...jobs.flatMap((job) => traces.map((name) => join(job, name)))])
    yield* Effect.forEach(
      (yield* inFolders).flat().filter((path) => !kept.has(path)),
      host.remove,
      { discard: true }
    )
  })

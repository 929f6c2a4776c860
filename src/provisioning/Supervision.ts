/** What a supervisor does: it carries one provision through to its end, under a lease. */

import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Event from "../domain/events/Event.js"
import { ProvisionError } from "../domain/Failure.js"
import type { Plan } from "../domain/Plan.js"
import { hasEnded, type Sandbox, type SandboxId } from "../domain/Sandbox.js"
import { formatDuration } from "../domain/Units.js"
import { type HostError, type HostShape, Hosts } from "../hosts/Host.js"
import * as Uptime from "../hosts/Uptime.js"
import { withDelivery } from "../hub/client/Delivery.js"
import type { StateHub } from "../hub/client/StateHub.js"
import { Extensions, type Provisioned } from "../recipe/Extension.js"
import type { ProvisionShape } from "../recipe/Provision.js"
import { type RecipeError, RecipeLayers, type RecipeServices } from "../recipe/Recipe.js"
import { Reporter } from "../recipe/Reporter.js"
import { isFence } from "../recipe/Steps.js"
import { Secrets } from "../secrets/Secrets.js"
import type { Settings } from "../settings/Settings.js"
import { Timing } from "../settings/Timing.js"
import { hold, holderIsDead } from "../store/Lease.js"
import type { ProcessIdentity } from "../store/ProcessIdentity.js"
import { type Lease, SandboxStore, type StoreError } from "../store/SandboxStore.js"
import * as Outages from "./ConnectionMonitor.js"
import { End, endKey, failureOf } from "./End.js"
import { finish, giveUp, makeRoom } from "./Finish.js"
import * as Queue from "./Queue.js"
import type { Supervisors } from "./Supervisors.js"

/** What a supervisor needs. */
export type SupervisionServices =
  | Extensions
  | FileSystem.FileSystem
  | ProcessIdentity
  | Hosts
  | Path.Path
  | RecipeLayers
  | SandboxStore
  | Secrets
  | Settings
  | StateHub
  | Supervisors
  | Uptime.Uptime

// A program from before wrote the wall's time alone.
const momentOf = (value: unknown) =>
  typeof value === "number"
    ? Effect.succeed<Uptime.Moment>({ wall: value, bootId: "", uptime: 0 })
    : Effect.orDie(Schema.decodeUnknown(Uptime.Moment)(value))

const begin = (lease: Lease, sandbox: Sandbox) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const now = yield* Uptime.now
    const begun = (yield* store.steps(lease.id, sandbox.attempt)).find(({ key }) => key === "begun")
    const since = begun?.result ? yield* momentOf(begun.result.value) : now
    yield* store.commit(lease, {
      change: { state: "provisioning" },
      ...(begun === undefined
        ? { step: { attempt: sandbox.attempt, key: "begun", job: null, result: { value: now } } }
        : {}),
      events: [
        begun === undefined
          ? Event.provisioning(sandbox.attempt)
          : Event.takenOver(sandbox.attempt, lease.term, sandbox.phase?.name ?? null)
      ]
    })
    return since
  })

/** Waits for its turn; gives since when its time counts: what it waited does not. */
const queue = (lease: Lease, attempt: number, plan: Plan, begun: Uptime.Moment) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const through = (yield* store.steps(lease.id, attempt)).find(({ key }) => key === "queue")?.result
    if (through) return yield* momentOf(through.value)
    if (!(yield* Queue.enter(lease, attempt, plan))) return begun
    const now = yield* Uptime.now
    yield* store.commit(lease, { step: { attempt, key: "queue", job: null, result: { value: now } } })
    return now
  })

const untilCancelled = (id: SandboxId) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const { cancelPoll } = (yield* Timing).supervision
    yield* store
      .cancelRequested(id)
      .pipe(Effect.repeat({ until: (asked) => asked, schedule: Schedule.spaced(cancelPoll) }))
  })

const runRecipe = (
  plan: Plan,
  lease: Lease,
  attempt: number,
  begun: Uptime.Moment
): Effect.Effect<
  End,
  StoreError,
  Extensions | SandboxStore | RecipeServices | Queue.QueueServices | Uptime.Uptime
> =>
  Effect.gen(function* () {
    const extensions = yield* Extensions
    const reporter = yield* Reporter
    const recipe: Effect.Effect<Provisioned, RecipeError, RecipeServices> = Effect.flatMap(
      Effect.mapError(
        extensions.get(plan.extension),
        ({ hint, message }) => new ProvisionError({ reason: "internal", message, hint })
      ),
      ({ modes }) => {
        const mode = modes[plan.mode]
        return mode === undefined
          ? new ProvisionError({
              reason: "internal",
              message: `${plan.extension} has no mode ${plan.mode}`,
              hint: "supervise it with the program that created it"
            })
          : mode.provision(plan.spec)
      }
    )
    const { timeoutSeconds } = plan
    const timed = (since: Uptime.Moment) =>
      timeoutSeconds === null
        ? recipe
        : Effect.flatMap(Uptime.secondsSince(since), (passed) =>
            Effect.timeoutFail(recipe, {
              duration: Duration.seconds(Math.max(0, timeoutSeconds - passed)),
              onTimeout: () =>
                new ProvisionError({
                  reason: "timed-out",
                  message: `it took longer than ${formatDuration(timeoutSeconds)}`,
                  hint: "give it more time with --timeout, or see in the log what it waited for"
                })
            })
          )
    const ended: Effect.Effect<End, RecipeError, RecipeServices | Queue.QueueServices | Uptime.Uptime> =
      Effect.map(Effect.flatMap(queue(lease, attempt, plan, begun), timed), ({ endpoint }) => ({
        state: "ready" as const,
        endpoint
      }))
    return yield* ended.pipe(
      Effect.catchAllDefect(
        (defect) =>
          new ProvisionError({
            reason: "internal",
            message: `a bug: ${defect instanceof Error ? (defect.stack ?? defect.message) : String(defect)}`,
            hint: "please report it with the log"
          })
      ),
      Effect.raceFirst(Effect.as(untilCancelled(lease.id), { state: "cancelled" as const })),
      Effect.raceFirst(reporter.overdue),
      Effect.raceFirst(Outages.reportOutages),
      Effect.catchIf(
        (error) => !(error._tag === "StoreError" && error.reason === "lease-lost"),
        (error) =>
          Effect.map(reporter.tail, (tail) => {
            const failure = failureOf(error, tail)
            return {
              state: "failed" as const,
              failure: {
                ...failure,
                message: reporter.redact(failure.message),
                hint: reporter.redact(failure.hint),
                logTail: failure.logTail.map(reporter.redact)
              }
            }
          })
      ),
      Effect.mapError((error) => error as StoreError),
      Effect.tap(() => Effect.ignore(reporter.settle))
    )
  })

const provision = (lease: Lease, sandbox: Sandbox, plan: Plan, host: HostShape, begun: Uptime.Moment) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const journaled = (yield* store.steps(lease.id, sandbox.attempt)).find(
      ({ key }) => key === endKey
    )?.result
    const end =
      journaled !== undefined && journaled !== null
        ? yield* Effect.orDie(Schema.decodeUnknown(End)(journaled.value))
        : yield* Effect.gen(function* () {
            const result: End = (yield* store.cancelRequested(lease.id))
              ? { state: "cancelled" }
              : yield* runRecipe(plan, lease, sandbox.attempt, begun)
            // There is nothing to clean up, and so nothing between this and the record's end.
            if (plan.jobless && result.state === "ready") return result
            const value = yield* Effect.orDie(Schema.encode(End)(result))
            const journal = store.commit(lease, {
              step: { attempt: sandbox.attempt, key: endKey, job: null, result: { value } }
            })
            yield* Effect.catchIf(
              journal,
              ({ reason }) => reason === "not-writable",
              () => Effect.zipRight(makeRoom(lease, sandbox.attempt, host), journal)
            )
            return result
          })
    // Half of an end is none: what was begun is finished, also when this process is told to leave.
    return yield* Effect.uninterruptible(finish(lease, sandbox, plan, host, end))
  })

/** A host that cannot be reached for a while runs its jobs on: where some were begun it is waited for. */
const reach = (get: Effect.Effect<HostShape, HostError>, lease: Lease, { attempt, phase }: Sandbox) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const { hostRetry } = (yield* Timing).supervision
    const begun = (yield* store.steps(lease.id, attempt)).some((step) => step.job !== null && !isFence(step))
    // With one key they are kept once, however often they are reported.
    const report = (message: string) => ({
      attempt,
      key: `reach/${lease.term}`,
      message,
      phase: phase?.name ?? null
    })
    let lost = false
    const found = yield* Effect.retry(get, {
      while: ({ host, reason }) =>
        begun && reason === "unreachable"
          ? Effect.gen(function* () {
              lost = true
              yield* store.commit(lease, { events: [Event.warning(report(Outages.lostMessage(host)))] })
              return !(yield* store.cancelRequested(lease.id))
            })
          : Effect.succeed(false),
      schedule: Schedule.spaced(hostRetry)
    })
    if (lost) yield* store.commit(lease, { events: [Event.note(report(Outages.backMessage(found.name)))] })
    return found
  })

/** Waits before the next attempt, the longer the more there were; a cancel ends it. */
const pauseBefore = (id: SandboxId, attempt: number, { retry }: Plan) =>
  Effect.raceFirst(
    Effect.sleep(Duration.seconds((retry?.backoffSeconds ?? 0) * 2 ** (attempt - 1))),
    untilCancelled(id)
  )

/**
 * Carries a sandbox's provision through to its end, from wherever it is; gives way at once where another supervisor
 * is at it. Interrupting it leaves its jobs running and gives the lease back, so that another one can go on.
 */
export const supervise = (id: SandboxId): Effect.Effect<void, StoreError, SupervisionServices> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const carryThrough = (lease: Lease) =>
      Effect.gen(function* () {
        const sandbox = yield* store.get(id)
        const plan = yield* store.plan(id)
        if (sandbox === undefined || plan === undefined || hasEnded(sandbox.state)) return false
        const begun = yield* begin(lease, sandbox)
        const layers = yield* RecipeLayers
        const hosts = yield* Hosts
        const secrets = yield* Effect.flatMap(Secrets, (kept) => kept.get(id, sandbox.attempt))
        const again = yield* Effect.gen(function* () {
          const host = yield* reach(hosts.get(plan.placement), lease, sandbox)
          yield* host.prepare
          const { attempt } = sandbox
          const shape: ProvisionShape = { id, attempt, term: lease.term, plan, secrets }
          return yield* Effect.provide(
            provision(lease, sandbox, plan, host, begun),
            layers.of(shape, plan.placement)
          )
        }).pipe(
          Effect.catchAll((error) => giveUp(lease, sandbox, plan, error)),
          withDelivery
        )
        if (again) yield* pauseBefore(id, sandbox.attempt, plan)
        return again
      }).pipe(Effect.repeat({ while: (again) => again }))
    yield* hold(store.lease(id), holderIsDead, (term) => carryThrough({ id, term }))
  }).pipe(
    Effect.catchTag("LeaseTaken", () => Effect.void),
    Effect.catchIf(
      ({ reason }) => reason === "lease-lost",
      () => Effect.void
    )
  )

/** The manager: plans, creates, follows and ends sandboxes. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { Conflict, NotFound, UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import type { Plan } from "../domain/Plan.js"
import type { NewEvent, ProgressEvent } from "../domain/ProgressEvent.js"
import { expiry, hasEnded, isLiving, type Sandbox, SandboxId } from "../domain/Sandbox.js"
import { formatDuration } from "../domain/Units.js"
import type { HostError, Hosts } from "../hosts/Host.js"
import type { StateHub } from "../hub/client/StateHub.js"
import type { Profiles } from "../profiles/Profiles.js"
import { makeMonitor } from "../provisioning/SupervisorMonitor.js"
import { Supervisors } from "../provisioning/Supervisors.js"
import type { Extensions, PlanServices } from "../recipe/Extension.js"
import { Secrets } from "../secrets/Secrets.js"
import { Settings } from "../settings/Settings.js"
import { SandboxStore, type StoreError } from "../store/SandboxStore.js"
import { planOf } from "./Planning.js"
import { type Reaped, reap, type Swept, sweep } from "./Reap.js"
import { record, recordFree } from "./Record.js"
import { removeArtifact } from "./RemoveArtifact.js"
import type { CreateRequest, RetryRequest } from "./Request.js"
import { readSecrets } from "./SecretSources.js"
import { tearDown } from "./Teardown.js"

export type { AskSecret, CreateRequest, RetryRequest } from "./Request.js"

/** What becomes of the things that a sandbox has. */
export interface DestroyOptions {
  /** Cancels a provision that runs, and forgets what is on a machine that is gone. */
  readonly force: boolean
  readonly deleteArtifacts: boolean
  readonly deleteWorkspace?: boolean
}

export interface SandboxesShape {
  /** What `create` would do and why; reads, and writes nothing. */
  readonly plan: (request: CreateRequest) => Effect.Effect<Plan, UsageError | NotFound>
  /**
   * Records a sandbox and sees to it that it is provisioned; gives the record without waiting for that. What is recorded
   * when it is interrupted is cancelled.
   */
  readonly create: (
    request: CreateRequest
  ) => Effect.Effect<Sandbox, UsageError | NotFound | Conflict | StoreError>
  /** All sandboxes, the oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<Sandbox>, StoreError>
  /** The sandbox with an id, a unique prefix of one, or a name: among the living, else the newest of the dead. */
  readonly find: (reference: string) => Effect.Effect<Sandbox, StoreError | NotFound | UsageError>
  readonly get: (id: SandboxId) => Effect.Effect<Sandbox, StoreError | NotFound>
  /** Its events behind `after`, as they come, until its provision has ended; sees to it that somebody supervises it. */
  readonly follow: (id: SandboxId, after: number) => Stream.Stream<ProgressEvent, StoreError | NotFound>
  /** Its events so far, behind `after`. */
  readonly events: (id: SandboxId, after: number) => Effect.Effect<ReadonlyArray<ProgressEvent>, StoreError>
  /** Events of all sandboxes behind a position; see `SandboxStore.allEvents`. */
  readonly allEvents: (
    after: number
  ) => Effect.Effect<{ readonly events: ReadonlyArray<ProgressEvent>; readonly position: number }, StoreError>
  /** Waits until the provision has ended, and gives the record. */
  readonly wait: (id: SandboxId) => Effect.Effect<Sandbox, StoreError | NotFound>
  /** Asks for the provision to be cancelled, without waiting; one that has ended otherwise is a `Conflict`. */
  readonly cancel: (id: SandboxId) => Effect.Effect<void, StoreError | NotFound | Conflict>
  /**
   * Provisions what failed or was cancelled once more: a new attempt, of the same plan. Secrets are read anew. Gives the
   * record without waiting for it.
   */
  readonly retry: (
    id: SandboxId,
    request: RetryRequest
  ) => Effect.Effect<Sandbox, UsageError | StoreError | NotFound | Conflict>
  /** What is ready ends so many seconds from now; what is not is a `Conflict`. */
  readonly renew: (
    id: SandboxId,
    ttlSeconds: number
  ) => Effect.Effect<Sandbox, StoreError | NotFound | Conflict>
  /**
   * Ends what is past its time: what is ready is destroyed, its artifacts stay; of what failed, was cancelled or
   * destroyed the record and the logs go, unless it has artifacts. With `dryRun` says what would be done.
   */
  readonly reap: (options: { readonly dryRun: boolean }) => Effect.Effect<ReadonlyArray<Reaped>, StoreError>
  /**
   * Removes secrets of a provision that was never recorded, as whoever asked for it was killed in between: those that are
   * older than a minute. With `dryRun` says which.
   */
  readonly sweep: (options: { readonly dryRun: boolean }) => Effect.Effect<ReadonlyArray<Swept>, StoreError>
  /**
   * Ends a sandbox; its artifacts stay, and the workspace that it shares with others of its project, unless told
   * otherwise. One that is being provisioned is a `Conflict`, with `force` it is cancelled first. A machine that is gone
   * is forgotten with `force`: the last event's `left` says what may be left there.
   */
  readonly destroy: (
    id: SandboxId,
    options: DestroyOptions
  ) => Effect.Effect<Sandbox, StoreError | NotFound | Conflict | HostError>
}

/** @category services */
export class Sandboxes extends Context.Tag("sandboxer/Sandboxes")<Sandboxes, SandboxesShape>() {}

const lookEvery = Duration.millis(100)
const newId = Effect.map(
  Effect.all(Array.from({ length: 12 }, () => Random.nextIntBetween(0, 16))),
  (digits) => SandboxId.make(digits.map((digit) => digit.toString(16)).join(""))
)

/** @category layers */
export const layer = Layer.effect(
  Sandboxes,
  Effect.gen(function* () {
    const services = yield* Effect.context<
      PlanServices | Extensions | Hosts | Profiles | SandboxStore | StateHub
    >()
    const store = yield* SandboxStore
    const secrets = yield* Secrets
    const supervisors = yield* Supervisors
    const watchOf = yield* makeMonitor
    const { retentionSeconds } = yield* Settings

    const get: SandboxesShape["get"] = (id) =>
      Effect.flatMap(store.get(id), (sandbox) =>
        sandbox === undefined
          ? new NotFound({
              reason: "sandbox",
              message: `no sandbox ${id}`,
              hint: "`sandboxer list --all` shows all"
            })
          : Effect.succeed(sandbox)
      )

    const pause = (id: SandboxId) => Effect.raceFirst(Effect.sleep(lookEvery), supervisors.ended(id))

    const follow: SandboxesShape["follow"] = (id, after) =>
      Stream.unwrap(
        Effect.sync(() => {
          const watch = watchOf(id)
          return Stream.paginateChunkEffect(after, (seq) =>
            Effect.gen(function* () {
              // Read before the events: once it has ended, all of them are there.
              const { state } = yield* get(id)
              const events = yield* store.events(id, seq)
              const next = events.at(-1)?.seq ?? seq
              if (!hasEnded(state)) {
                yield* watch
                if (events.length === 0) yield* pause(id)
              }
              return [
                Chunk.fromIterable(events),
                hasEnded(state) ? Option.none() : Option.some(next)
              ] as const
            })
          )
        })
      )

    const wait: SandboxesShape["wait"] = (id) =>
      Effect.gen(function* () {
        const watch = watchOf(id)
        while (true) {
          const sandbox = yield* get(id)
          if (hasEnded(sandbox.state)) return sandbox
          yield* watch
          yield* pause(id)
        }
      })

    const cancel: SandboxesShape["cancel"] = (id) =>
      Effect.gen(function* () {
        const { name, state } = yield* get(id)
        if (state === "cancelled") return
        if (hasEnded(state)) {
          return yield* new Conflict({
            reason: "ended",
            message: `the provision of ${name} has ended: it is ${state}`,
            hint: `\`sandboxer destroy ${name}\` ends a sandbox`
          })
        }
        yield* store.requestCancel(id)
      })

    const destroy = Effect.fn("Sandboxes.destroy")(function* (
      id: SandboxId,
      { deleteArtifacts, deleteWorkspace = false, force }: DestroyOptions
    ) {
      const before = yield* get(id)
      if (!hasEnded(before.state)) {
        if (!force) {
          return yield* new Conflict({
            reason: "running",
            message: `${before.name} is being provisioned`,
            hint: `\`sandboxer cancel ${before.name}\` first, or destroy it with --force`
          })
        }
        // It may just have ended by itself: that will do.
        yield* Effect.catchTag(cancel(id), "Conflict", () => Effect.void)
      }
      const ended = yield* wait(id)
      const left = yield* Effect.provide(tearDown(ended, { deleteWorkspace, force }), services)
      const now = yield* DateTime.now
      yield* store.transition(
        id,
        ["ready", "failed", "cancelled", "destroying"],
        { state: "destroyed", expiresAt: expiry(now, retentionSeconds) },
        {
          identity: "destroyed",
          type: "destroyed",
          message: left === undefined ? "destroyed" : `destroyed; ${left}`,
          data: left === undefined ? {} : { left }
        }
      )
      if (deleteArtifacts && ended.artifacts.length > 0) {
        yield* Effect.forEach(
          ended.artifacts,
          (artifact) => Effect.provide(removeArtifact(id, artifact), services),
          { discard: true }
        )
        yield* store.transition(
          id,
          ["destroyed"],
          { artifacts: [] },
          { identity: "artifacts-deleted", type: "note", message: "its artifacts were deleted" }
        )
      }
      return yield* get(id)
    })

    /**
     * Where an attempt was not recorded, its secrets go. One that was recorded when whoever asked for it left is cancelled:
     * nobody else knows of it.
     */
    const takeBack = (id: SandboxId, attempt: number, left: boolean) =>
      Effect.gen(function* () {
        const sandbox = yield* store.get(id)
        if (sandbox === undefined || sandbox.attempt < attempt) return yield* secrets.forget(id, attempt)
        if (!left) return
        yield* store.requestCancel(id)
        yield* supervisors.start(id)
      }).pipe(Effect.ignore)

    const retry = Effect.fn("Sandboxes.retry")(function* (id: SandboxId, request: RetryRequest) {
      const before = yield* get(id)
      const plan = yield* store.plan(id)
      const refused = (state: Sandbox["state"]) =>
        new Conflict({
          reason: hasEnded(state) ? "ended" : "running",
          message: `${before.name} is ${state}`,
          hint: hasEnded(state)
            ? "only what failed or was cancelled is tried again: create another one"
            : `wait for it: \`sandboxer wait ${before.name}\``
        })
      if (plan === undefined || (before.state !== "failed" && before.state !== "cancelled"))
        return yield* refused(before.state)
      const attempt = before.attempt + 1
      const values = yield* Effect.provide(readSecrets(plan.secrets, request, {}), services)
      const forget = Effect.ignore(secrets.forget(id, attempt))
      const event: NewEvent = {
        identity: `${attempt}/requested`,
        type: "requested",
        message: `requested once more: attempt ${attempt}`,
        data: { attempt, logPath: before.logPath }
      }
      const began = yield* secrets.put(id, attempt, values).pipe(
        Effect.zipRight(store.beginAttempt(id, attempt, event)),
        Effect.onError(() => takeBack(id, attempt, false))
      )
      if (!began) {
        const { state } = yield* Effect.onError(get(id), () => forget)
        // Somebody else may have been quicker, and reads what is put there.
        if (hasEnded(state)) yield* forget
        return yield* refused(state)
      }
      yield* supervisors.start(id, { here: plan.jobless && request.detach !== true })
      return yield* get(id)
    })

    const renew: SandboxesShape["renew"] = (id, ttlSeconds) =>
      Effect.gen(function* () {
        const now = yield* DateTime.now
        const expiresAt = expiry(now, ttlSeconds)
        const renewed = yield* store.transition(
          id,
          ["ready"],
          { expiresAt, ttlSeconds },
          {
            identity: `renewed/${DateTime.formatIso(now)}`,
            type: "renewed",
            message: `it ends in ${formatDuration(ttlSeconds)}`
          }
        )
        const sandbox = yield* get(id)
        if (renewed) return sandbox
        return yield* new Conflict({
          reason: "not-ready",
          message: `${sandbox.name} is ${sandbox.state}: its time does not run`,
          hint: "only what is ready can be renewed"
        })
      })

    return {
      plan: (request) => Effect.map(Effect.provide(planOf(request), services), ({ plan }) => plan),
      create: Effect.fn("Sandboxes.create")(function* (request) {
        const { defaultName, inputs, plan } = yield* planOf(request)
        const values = yield* readSecrets(plan.secrets, request, inputs)
        const id = yield* newId
        const recorded =
          request.name === undefined ? recordFree(plan, id, defaultName) : record(plan, id, request.name)
        // Before the record: a supervisor that finds the record finds them too.
        return yield* secrets.put(id, 1, values).pipe(
          Effect.zipRight(recorded),
          Effect.tap(() => supervisors.start(id, { here: plan.jobless && request.detach !== true })),
          Effect.onError((cause) => takeBack(id, 1, Cause.isInterrupted(cause)))
        )
      }, Effect.provide(services)),
      list: store.list,
      find: (reference) =>
        Effect.gen(function* () {
          const all = (yield* store.list).toReversed()
          const [byName] = [...all.filter(({ state }) => isLiving(state)), ...all].filter(
            ({ name }) => name === reference
          )
          const exact = all.find(({ id }) => id === reference)
          const byPrefix = reference === "" ? [] : all.filter(({ id }) => id.startsWith(reference))
          if (exact === undefined && byName === undefined && byPrefix.length > 1) {
            return yield* new UsageError({
              reason: "usage",
              message: `${reference} is the beginning of ${byPrefix.length} ids`,
              hint: `say more of it: ${byPrefix.map(({ id }) => id).join(", ")}`
            })
          }
          const found = exact ?? byName ?? byPrefix[0]
          if (found !== undefined) return found
          return yield* new NotFound({
            reason: "sandbox",
            message: `no sandbox ${reference}`,
            hint: didYouMean(
              reference,
              new Set(all.map(({ name }) => name)),
              "`sandboxer list --all` shows all"
            )
          })
        }),
      get,
      follow,
      events: store.events,
      allEvents: store.allEvents,
      wait,
      cancel,
      retry,
      renew,
      reap: (options) =>
        Effect.provide(
          reap((id) => destroy(id, { force: false, deleteArtifacts: false }), options),
          services
        ),
      sweep: (options) => Effect.provide(sweep(options), services),
      destroy
    }
  })
)

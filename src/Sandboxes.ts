/** The manager: plans, creates, follows and ends sandboxes. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { Artifact } from "./domain/Artifact.js"
import { Conflict, NotFound, UsageError } from "./domain/Errors.js"
import type { FailureReason } from "./domain/Failure.js"
import { type GivenInputs, type InputDeclarations, prompt, resolveInputs } from "./domain/Input.js"
import { didYouMean } from "./domain/Nearest.js"
import { Plan } from "./domain/Plan.js"
import type { NewEvent, ProgressEvent } from "./domain/ProgressEvent.js"
import { expiry, hasEnded, isLiving, Sandbox, SandboxId } from "./domain/Sandbox.js"
import { formatDuration } from "./domain/Units.js"
import { Extensions, type PlanServices } from "./Extension.js"
import type { HostError, Hosts } from "./Host.js"
import * as ProfileMode from "./ProfileMode.js"
import { Profiles } from "./Profiles.js"
import { type Reaped, reap } from "./Sandboxes/Reap.js"
import { tearDown } from "./Sandboxes/Teardown.js"
import { SandboxStore, StoreError } from "./SandboxStore.js"
import { Secrets, type SecretValues } from "./Secrets.js"
import { Settings } from "./Settings.js"
import { StateHub } from "./StateHub.js"
import { Supervisors } from "./Supervisors.js"
import { makeWatches } from "./Watch.js"

/** What is asked for. `environment` is where `env:NAME` and inputs with `env` are read from. */
export interface CreateRequest {
  readonly profile: string
  readonly inputs: GivenInputs
  readonly mode?: string
  readonly name?: string
  readonly ttlSeconds?: number
  readonly timeoutSeconds?: number
  /** How long it may wait for its turn; 10 minutes where it is left out. */
  readonly lockTimeoutSeconds?: number
  /** What a State Hub files the sandbox's notes under; by default what SANDBOXER_WORKSTREAM and SANDBOXER_TASK, or the profile, say. */
  readonly workstream?: string
  readonly task?: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What relative paths of given inputs are relative to, but for those of a document. */
  readonly workingDirectory: string
  /** Asks a person for a required secret that was not given; where it is left out, such an input is missing. */
  readonly askSecret?: AskSecret
  /** Whether this program may end before the provision does; else it carries a quick one through itself. */
  readonly detach?: boolean
}

/** Gives what a person typed for a secret input. */
export type AskSecret = (
  name: string,
  description: string | undefined
) => Effect.Effect<Redacted.Redacted, UsageError>

/** Where secrets are read from, and who is asked for those that were typed. */
export type RetryRequest = Pick<CreateRequest, "environment" | "askSecret" | "detach">

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
  /** Records a sandbox and sees to it that it is provisioned; gives the record without waiting for that. */
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
/** Reasons of a failure that may be gone the next time. */
const passing: ReadonlyArray<FailureReason> = [
  "connect-timeout",
  "download-failed",
  "host-unreachable",
  "hypervisor-died",
  "interrupted",
  "port-taken"
]
/** In seconds. */
const usualBackoff = 10

const newId = Effect.map(
  Effect.all(Array.from({ length: 12 }, () => Random.nextIntBetween(0, 16))),
  (digits) => SandboxId.make(digits.map((digit) => digit.toString(16)).join(""))
)

/** `-i mode=…` says the same as `--mode`; both may be given if they agree. */
const modeOf = ({ inputs, mode }: CreateRequest): Effect.Effect<string | undefined, UsageError> => {
  const given = inputs.mode
  if (given === undefined) return Effect.succeed(mode)
  const text =
    given._tag === "Texts" && given.texts.length === 1
      ? given.texts[0]
      : given._tag === "Value"
        ? given.value
        : undefined
  const wrong = (message: string, hint: string) =>
    Effect.fail(new UsageError({ reason: "usage", message, hint }))
  if (typeof text !== "string") return wrong("a sandbox has one mode", "give one: --mode build")
  return mode !== undefined && mode !== text
    ? wrong(`the mode is given twice: --mode ${mode} and -i mode=${text}`, "give one of them")
    : Effect.succeed(text)
}

/** @category layers */
export const layer = Layer.effect(
  Sandboxes,
  Effect.gen(function* () {
    const services = yield* Effect.context<PlanServices | SandboxStore>()
    const machinery = yield* Effect.context<SandboxStore | Extensions | Hosts>()
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const store = yield* SandboxStore
    const profiles = yield* Profiles
    const extensions = yield* Extensions
    const secrets = yield* Secrets
    const supervisors = yield* Supervisors
    const watchOf = yield* makeWatches
    const { hosts, retentionSeconds } = yield* Settings
    const stateHub = yield* StateHub

    const plan = Effect.fn("Sandboxes.plan")(function* (request: CreateRequest) {
      const profile = yield* profiles.get(request.profile)
      const { document } = profile
      const { elsewhere, extension, inputs, mode, name, problems } = yield* ProfileMode.find(
        profile,
        yield* modeOf(request)
      ).pipe(Effect.provideService(Extensions, extensions))
      const [problem] = problems
      if (problem !== undefined) return yield* problem
      const { mode: _, ...given } = request.inputs
      const resolved = yield* resolveInputs({
        declarations: inputs,
        elsewhere,
        given,
        environment: request.environment,
        absolute: {
          given: (file, location) =>
            path.resolve(
              location === undefined ? request.workingDirectory : path.dirname(location.file),
              file
            ),
          profile: (file, input) => path.resolve(profile.folderOf(["inputs", input, "default"]), file)
        },
        asks: request.askSecret !== undefined
      })
      const host = document.placement?.host ?? "local"
      const filed = (given: string | undefined, variable: string, inProfile: string | undefined) =>
        given ?? (request.environment[variable] || (inProfile ?? null))
      if (host !== "local" && hosts[host] === undefined) {
        const names = ["local", ...Object.keys(hosts).filter((one) => one !== "local")]
        return yield* new UsageError({
          reason: "profile",
          message: `no host is called ${host}, which ${document.id} is placed on`,
          hint: didYouMean(
            host,
            names,
            `hosts are ${names.join(", ")}; name it in the configuration's \`hosts\``
          )
        })
      }
      const planned = yield* mode
        .plan({
          inputs: resolved.values,
          secrets: Object.keys(resolved.secrets),
          variables: Object.keys(inputs).filter((input) => inputs[input]?.variable === true),
          prepare: document.prepare,
          hardware: document.hardware,
          profileFolder: profile.folderOf(["prepare", "inputs"]),
          requires: {
            commands: document.placement?.requires?.commands ?? [],
            freeDisk: document.placement?.requires?.freeDisk
          },
          host
        })
        .pipe(Effect.provide(services))
      return {
        plan: new Plan({
          profile: document.id,
          extension: extension.id,
          mode: name,
          name: request.name ?? null,
          placement: planned.placement ?? { host },
          quick: planned.quick ?? false,
          locks: planned.locks ?? [],
          inputs: { ...resolved.values, ...resolved.secrets },
          secrets: resolved.secrets,
          ttlSeconds: request.ttlSeconds ?? document.ttl ?? null,
          timeoutSeconds: request.timeoutSeconds ?? document.timeout ?? null,
          ...(request.lockTimeoutSeconds === undefined
            ? {}
            : { lockTimeoutSeconds: request.lockTimeoutSeconds }),
          heartbeatSeconds: document.heartbeat ?? 30,
          stallSeconds: document.stall ?? null,
          stallCancels: document.on_stall === "cancel",
          phaseTimeouts: Object.fromEntries(
            Object.entries(document.timeouts ?? {}).flatMap(([phase, limit]) =>
              limit === undefined ? [] : [[phase, limit]]
            )
          ),
          retry:
            document.retry === undefined
              ? null
              : {
                  times: document.retry.times,
                  on: document.retry.on ?? passing,
                  backoffSeconds: document.retry.backoff ?? usualBackoff
                },
          hub: {
            workstream: filed(request.workstream, "SANDBOXER_WORKSTREAM", document.hub?.workstream),
            task: filed(request.task, "SANDBOXER_TASK", document.hub?.task),
            notes: stateHub.tells === false ? "none" : (document.hub?.notes ?? "phases"),
            everySeconds: document.hub?.every ?? 60
          },
          description: planned.description,
          spec: planned.encoded
        }),
        inputs,
        defaultName: planned.defaultName ?? document.id.replace(/^profile\./, "")
      }
    })

    const readSecrets = (
      sources: Readonly<Record<string, string>>,
      { askSecret, environment }: RetryRequest,
      inputs: InputDeclarations
    ) => {
      // Nobody types before it is known that the others are there.
      const asked = Object.entries(sources).filter(([, source]) => source === prompt)
      const others = Object.entries(sources).filter(([, source]) => source !== prompt)
      return Effect.map(
        Effect.forEach([...others, ...asked], ([name, source]) => {
          const missing = (what: string) =>
            new UsageError({
              reason: "input",
              message: `input ${name}: ${what}`,
              hint: "give a source that has a value"
            })
          if (source === prompt && askSecret !== undefined) {
            return Effect.map(askSecret(name, inputs[name]?.description), (secret) => [name, secret] as const)
          }
          const value = source.startsWith("env:")
            ? Effect.fromNullable(environment[source.slice(4)] || null).pipe(
                Effect.mapError(() => missing(`the environment has no ${source.slice(4)}`))
              )
            : // An editor ends a file's last line; that is not part of the secret.
              fs.readFileString(source.slice(1)).pipe(
                Effect.map((text) => text.replace(/\r?\n$/, "")),
                Effect.mapError(() => missing(`${source.slice(1)} cannot be read`))
              )
          return Effect.map(value, (text) => [name, Redacted.make(text)] as const)
        }),
        (entries): SecretValues => Object.fromEntries(entries)
      )
    }

    // The wanted name, or the next free one with a number behind it; another process may be quicker.
    const record = (
      planned: Plan,
      id: SandboxId,
      name: string
    ): Effect.Effect<Sandbox, StoreError | Conflict> =>
      Effect.gen(function* () {
        const now = yield* DateTime.now
        const sandbox = new Sandbox({
          id,
          name,
          profile: planned.profile,
          extension: planned.extension,
          mode: planned.mode,
          state: "requested",
          placement: { host: planned.placement.host },
          inputs: planned.inputs,
          createdAt: now,
          readyAt: null,
          endedAt: null,
          expiresAt: null,
          ttlSeconds: planned.ttlSeconds,
          attempt: 1,
          phase: null,
          artifacts: [],
          endpoint: null,
          failure: null,
          logPath: null
        })
        yield* store.create(sandbox, planned, {
          identity: "requested",
          type: "requested",
          message: `requested from ${planned.profile}`,
          data: { mode: planned.mode, host: planned.placement.host, steps: planned.description }
        })
        return sandbox
      })

    const recordFree = (
      planned: Plan,
      id: SandboxId,
      name: string
    ): Effect.Effect<Sandbox, StoreError | Conflict> =>
      Effect.flatMap(store.takenNames, (taken) => {
        const numbered = (number: number) => (number === 1 ? name : `${name}-${number}`)
        let number = 1
        while (taken.has(numbered(number))) number++
        return record(planned, id, numbered(number))
      }).pipe(Effect.catchTag("Conflict", () => recordFree(planned, id, name)))

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
                if (events.length === 0) {
                  yield* Effect.raceFirst(Effect.sleep(lookEvery), supervisors.ended(id))
                }
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
      Effect.zipRight(Stream.runDrain(follow(id, Number.MAX_SAFE_INTEGER)), get(id))

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

    const removeArtifact = (id: SandboxId, { path: file }: Artifact) =>
      Effect.gen(function* () {
        yield* fs.remove(file, { force: true })
        yield* fs.remove(`${file}.sha256`, { force: true })
        const folder = path.dirname(file)
        const empty = Effect.map(fs.readDirectory(folder), (names) => names.length === 0)
        // A folder of its own has its id for a name; any other is the user's.
        if (path.basename(folder) === id && (yield* Effect.orElseSucceed(empty, () => false))) {
          yield* fs.remove(folder, { recursive: true })
        }
      }).pipe(
        Effect.mapError(
          (error) =>
            new StoreError({ reason: "not-writable", message: error.message, hint: `remove ${file} by hand` })
        )
      )

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
      const left = yield* Effect.provide(tearDown(ended, { deleteWorkspace, force }), machinery)
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
        yield* Effect.forEach(ended.artifacts, (artifact) => removeArtifact(id, artifact), {
          discard: true
        })
        yield* store.transition(
          id,
          ["destroyed"],
          { artifacts: [] },
          { identity: "artifacts-deleted", type: "note", message: "its artifacts were deleted" }
        )
      }
      return yield* get(id)
    })

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
      const forget = Effect.ignore(secrets.forget(id))
      yield* secrets.put(id, yield* readSecrets(plan.secrets, request, {}))
      const attempt = before.attempt + 1
      const event: NewEvent = {
        identity: `${attempt}/requested`,
        type: "requested",
        message: `requested once more: attempt ${attempt}`,
        data: { attempt, logPath: before.logPath }
      }
      const began = yield* Effect.onError(store.beginAttempt(id, attempt, event), () => forget)
      if (!began) {
        const { state } = yield* Effect.onError(get(id), () => forget)
        // Somebody else may have been quicker, and reads what is put there.
        if (hasEnded(state)) yield* forget
        return yield* refused(state)
      }
      yield* supervisors.start(id, { here: plan.quick && request.detach !== true })
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
      plan: (request) => Effect.map(plan(request), (planned) => planned.plan),
      create: Effect.fn("Sandboxes.create")(function* (request) {
        const planned = yield* plan(request)
        const values = yield* readSecrets(planned.plan.secrets, request, planned.inputs)
        const id = yield* newId
        // Before the record: a supervisor that finds the record finds them too.
        yield* secrets.put(id, values)
        const recorded =
          request.name === undefined
            ? recordFree(planned.plan, id, planned.defaultName)
            : record(planned.plan, id, request.name)
        const sandbox = yield* Effect.onError(recorded, () => Effect.ignore(secrets.forget(id)))
        yield* supervisors.start(id, { here: planned.plan.quick && request.detach !== true })
        return sandbox
      }),
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
      destroy
    }
  })
)

/** Using the machine of a sandbox that is ready: running commands there, and copying its project again. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { Conflict, type NotFound, type UsageError } from "../domain/Errors.js"
import * as Event from "../domain/events/Event.js"
import { HostPath } from "../domain/HostPath.js"
import { expiry, type Sandbox, type SandboxId } from "../domain/Sandbox.js"
import { type Command, Host, type HostError, Hosts, type SyncChange } from "../hosts/Host.js"
import { Extensions } from "../recipe/Extension.js"
import { Timing } from "../settings/Timing.js"
import { SandboxStore, type StoreError } from "../store/SandboxStore.js"
import { refuseInUse } from "./Teardown.js"

/** Records that a sandbox is in use, which restarts its ttl. */
const touch = (id: SandboxId) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const sandbox = yield* store.get(id)
    const now = yield* DateTime.now
    const later = expiry(now, sandbox?.ttlSeconds ?? null)
    const before = sandbox?.expiresAt ?? null
    if (later === null || (before !== null && DateTime.greaterThanOrEqualTo(before, later))) return
    yield* store.transition(id, ["ready"], { expiresAt: later }, Event.renewedByUse(now))
  })

/** Keeps a sandbox from expiring while `effect` runs. */
const using = <A, E, R>(id: SandboxId, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const { useInterval } = (yield* Timing).sandboxes
    yield* touch(id)
    const touching = Effect.schedule(Effect.ignore(touch(id)), Schedule.spaced(useInterval))
    return yield* Effect.raceFirst(effect, Effect.zipRight(touching, Effect.never)).pipe(
      Effect.ensuring(Effect.ignore(touch(id)))
    )
  })

const attached = ({ endpoint, mode, name, state }: Sandbox) => {
  if (state !== "ready") {
    return new Conflict({
      reason: "not-ready",
      message: `${name} is ${state}`,
      hint:
        state === "requested" || state === "provisioning"
          ? `wait for it: \`sandboxer wait ${name}\``
          : "create it again; only what is ready can be used"
    })
  }
  return endpoint === null
    ? new Conflict({
        reason: "not-ready",
        message: `${name} has no machine to use: ${mode} mode leaves none`,
        hint: "attach to one: `sandboxer create … --mode attach`"
      })
    : Effect.succeed(endpoint.workdir === null ? undefined : HostPath(endpoint.workdir))
}

type UseError = StoreError | NotFound | Conflict | HostError

const open = (sandbox: Sandbox) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const hosts = yield* Hosts
    const workdir = yield* attached(sandbox)
    const plan = yield* Effect.flatMap(store.plan(sandbox.id), Effect.fromNullable).pipe(
      Effect.catchTag("NoSuchElementException", Effect.die)
    )
    return { host: yield* hosts.get(plan.placement), plan, workdir }
  })

/**
 * Runs a command on the sandbox's machine, in its workspace, with the input and outputs of this process; returns its exit
 * code.
 */
export const run = (
  sandbox: Sandbox,
  command: Command,
  options: { readonly terminal: boolean }
): Effect.Effect<number, UseError, SandboxStore | Hosts> =>
  Effect.flatMap(open(sandbox), ({ host, workdir }) =>
    using(
      sandbox.id,
      host.interact({ ...command, ...(workdir === undefined ? {} : { cwd: workdir }) }, options)
    )
  )

/** Copies the project to the workspace again, and returns what changed; with `dryRun`, what would change. */
export const sync = (
  sandbox: Sandbox,
  options: { readonly dryRun: boolean }
): Effect.Effect<ReadonlyArray<SyncChange>, UseError | UsageError, SandboxStore | Hosts | Extensions> =>
  Effect.gen(function* () {
    const { host, plan, workdir } = yield* open(sandbox)
    const extensions = yield* Extensions
    const made = yield* extensions.get(sandbox.extension)
    const again = yield* made.modes[sandbox.mode]?.sync?.(plan.spec) ?? Effect.succeed(undefined)
    if (again === undefined || workdir === undefined) {
      return yield* new Conflict({
        reason: "not-ready",
        message: `${sandbox.name} has no project`,
        hint: "attach with one: -i project=…"
      })
    }
    // The files must not change while a command of another provision uses them.
    yield* refuseInUse(sandbox.id)
    return yield* using(sandbox.id, Effect.provideService(again(workdir, options), Host, host))
  })

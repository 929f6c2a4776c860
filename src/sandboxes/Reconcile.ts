/** Comparing the records with the machines, and repairing the differences that killed processes have left. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type HostPath, join } from "../domain/HostPath.js"
import type { Placement } from "../domain/Placement.js"
import { hasEnded, isLiving, type Sandbox } from "../domain/Sandbox.js"
import { type HostError, type HostShape, Hosts } from "../hosts/Host.js"
import { Supervisors } from "../provisioning/Supervisors.js"
import { Settings } from "../settings/Settings.js"
import { Timing } from "../settings/Timing.js"
import { ProcessIdentity } from "../store/ProcessIdentity.js"
import { SandboxStore, type StoreError } from "../store/SandboxStore.js"
import {
  artifacts,
  isId,
  isYoung,
  type Known,
  knownOf,
  type Mismatch,
  type ReconcileServices,
  secrets,
  secretsAlone,
  telling,
  unknown
} from "./Leftovers.js"

export type { Mismatch, ReconcileServices } from "./Leftovers.js"

/** Provisions without a supervisor, and leases whose holder is dead. */
const supervision = Effect.fn(function* ({ sandboxes }: Known) {
  const store = yield* SandboxStore
  const identity = yield* ProcessIdentity
  const supervisors = yield* Supervisors
  const { repairPoll, repairWait } = (yield* Timing).sandboxes
  const found = yield* Effect.forEach(sandboxes, ({ id, state }) =>
    Effect.gen(function* () {
      const lease = store.lease(id)
      const { holder, term } = yield* lease.read
      if (holder !== null && (yield* identity.mayBeAlive(holder))) return []
      if (hasEnded(state)) {
        const mend = lease.release(term)
        return holder === null
          ? []
          : [{ kind: "lease", what: id, action: "give it back", mend } satisfies Mismatch]
      }
      const begun = Effect.gen(function* () {
        const now = yield* store.get(id)
        return now === undefined || hasEnded(now.state) || (yield* lease.read).term !== term
      })
      const mend = Effect.zipRight(
        supervisors.start(id),
        Effect.repeat(begun, {
          until: (yes) => yes,
          schedule: Schedule.upTo(Schedule.spaced(repairPoll), repairWait)
        })
      )
      return [{ kind: "unsupervised", what: id, action: "start a supervisor", mend } satisfies Mismatch]
    })
  )
  return found.flat()
})

/** The names in a folder of a host; none if it does not exist. */
const listed = (host: HostShape, folder: HostPath) =>
  Effect.catchIf(
    host.list(folder),
    ({ reason }) => reason === "not-found",
    () => Effect.succeed<ReadonlyArray<string>>([])
  )

const jobsFolder = (host: HostShape) => join(host.home, "jobs")

const stop = (host: HostShape, job: HostPath) =>
  Effect.asVoid(host.stopJob(job, { stop: "group", graceSeconds: 0 }))

/** Stops all Jobs of a sandbox, proves that none of their processes is left, and removes their folder. */
const clear = (host: HostShape, folder: HostPath): Effect.Effect<void, HostError> =>
  Effect.gen(function* () {
    for (const attempt of yield* listed(host, folder)) {
      const within = join(folder, attempt)
      if ((yield* host.info(within))?.type !== "folder") continue
      for (const key of yield* listed(host, within)) yield* stop(host, join(within, key))
    }
    yield* host.remove(folder)
  })

interface Seen {
  readonly host: HostShape
  readonly living: ReadonlyArray<HostPath>
  readonly folders: ReadonlyArray<string>
}

const look = (host: HostShape): Effect.Effect<Seen, HostError> =>
  Effect.gen(function* () {
    return { host, living: yield* host.livingJobs, folders: yield* listed(host, jobsFolder(host)) }
  })

/** Jobs on a host whose sandbox has ended or is not recorded. */
const jobs = Effect.fn(function* ({ folders, host, living }: Seen, { liveness: standing }: Known) {
  const isLocal = host.name === "local"
  // On another machine, an unknown id may belong to another state directory.
  const isOurs = (id: string) =>
    isId(id) && (standing(id) === "ended" || (isLocal && standing(id) === "unknown"))
  const below = `${jobsFolder(host)}/`
  const processes = living
    .filter((job) => job.startsWith(below) && isOurs(job.slice(below.length).split("/")[0] ?? ""))
    .map(
      (job): Mismatch => ({ kind: "process", what: job, action: "end it, with proof", mend: stop(host, job) })
    )
  const left = yield* Effect.forEach(folders.filter(isOurs), (id) =>
    Effect.gen(function* () {
      const folder = join(jobsFolder(host), id)
      if (isLocal && (yield* secretsAlone(folder)) !== undefined) return []
      if (isLocal && standing(id) === "unknown" && (yield* isYoung(folder))) return []
      const mend = clear(host, folder)
      return [{ kind: "job-folder", what: folder, action: "remove it", mend } satisfies Mismatch]
    })
  )
  return [...processes, ...left.flat()]
})

interface PlacedOn {
  readonly placement: Placement
  /** Whether it is a mismatch if it cannot be reached: a machine that was attached once may no longer exist. */
  readonly isNeeded: boolean
}

/** The machines that sandboxes are or were on. Only a plan says how to reach a machine that is not in the configuration. */
const machinesOf = Effect.fn(function* (sandboxes: ReadonlyArray<Sandbox>) {
  const store = yield* SandboxStore
  const machines = new Map<string, PlacedOn>([["local", { placement: { host: "local" }, isNeeded: true }]])
  for (const { id, placement: recorded, state } of sandboxes) {
    if (recorded.host === "local") continue
    const placement: Placement = (yield* store.plan(id))?.placement ?? recorded
    const key = JSON.stringify(placement)
    const isNeeded = placement.connection === undefined || isLiving(state)
    machines.set(key, { placement, isNeeded: isNeeded || machines.get(key)?.isNeeded === true })
  }
  return [...machines.values()]
})

/**
 * All mismatches, each with its repair, which is not run here. Without a database nothing is compared, and nothing is
 * found.
 */
export const examine: Effect.Effect<
  ReadonlyArray<Mismatch>,
  StoreError | HostError,
  ReconcileServices
> = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const hosts = yield* Hosts
  const store = yield* SandboxStore
  const { home } = yield* Settings
  if (!(yield* Effect.orElseSucceed(fs.exists(path.join(home, "sandboxer.db")), () => false))) return []
  const machines = yield* machinesOf(yield* store.list())
  const looked = yield* Effect.forEach(
    machines,
    ({ isNeeded, placement }) =>
      Effect.map(Effect.either(Effect.flatMap(hosts.get(placement), look)), (seen) => ({ isNeeded, seen })),
    { concurrency: "unbounded" }
  )
  const reached = looked.map(({ seen }) => seen)
  const lost = looked.flatMap(({ isNeeded, seen }) =>
    seen._tag === "Left" && isNeeded ? [telling("host", seen.left.message)] : []
  )
  // Read after the folders, so that a sandbox that was created meanwhile is known.
  const records = knownOf(yield* store.list())
  const found = yield* Effect.all([
    supervision(records),
    Effect.map(
      Effect.forEach(reached, (one) =>
        one._tag === "Right" ? jobs(one.right, records) : Effect.succeed([])
      ),
      (all) => all.flat()
    ),
    unknown("log", path.join(home, "logs"), /^([0-9a-f]{12})\.(?:\d+|crash)\.log$/, records),
    unknown("kept", path.join(home, "kept"), /^([0-9a-f]{12})(?:\.\d+)?$/, records),
    artifacts(path.join(home, "artifacts"), records),
    secrets(path.join(home, "jobs"), Effect.succeed(records))
  ])
  return [...found.flat(), ...lost]
})

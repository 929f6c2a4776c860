/** Comparing what is recorded with what is there, and mending what differs: what was left by whoever was killed in between. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type HostPath, join } from "./domain/HostPath.js"
import { hasEnded } from "./domain/Sandbox.js"
import { Holders } from "./Holders.js"
import { type HostError, type HostShape, Hosts } from "./Host.js"
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
import { SandboxStore, type StoreError } from "./SandboxStore.js"
import { Settings } from "./Settings.js"
import { Supervisors } from "./Supervisors.js"

export type { Mismatch, MismatchKind, ReconcileServices } from "./Leftovers.js"

/** How long a supervisor may take to begin, in seconds. */
const toBegin = 15

/** Provisions that nobody carries through, and leases that nobody holds. */
const supervision = Effect.fn(function* ({ sandboxes }: Known) {
  const store = yield* SandboxStore
  const holders = yield* Holders
  const supervisors = yield* Supervisors
  const found = yield* Effect.forEach(sandboxes, ({ id, state }) =>
    Effect.gen(function* () {
      const lease = yield* store.lease(id)
      const held = lease !== undefined && lease.holder !== null
      if (held && (yield* holders.mayBeAlive(lease.holder))) return []
      if (hasEnded(state)) {
        const mend = held ? store.releaseLease({ id, term: lease.term }) : Effect.void
        return held ? [{ kind: "lease", what: id, action: "give it back", mend } satisfies Mismatch] : []
      }
      const begun = Effect.gen(function* () {
        const now = yield* store.get(id)
        return now === undefined || hasEnded(now.state) || (yield* store.lease(id))?.term !== lease?.term
      })
      const mend = Effect.zipRight(
        supervisors.start(id),
        Effect.repeat(begun, {
          until: (yes) => yes,
          schedule: Schedule.upTo(Schedule.spaced(Duration.millis(100)), Duration.seconds(toBegin))
        })
      )
      return [{ kind: "unsupervised", what: id, action: "start a supervisor", mend } satisfies Mismatch]
    })
  )
  return found.flat()
})

/** Names in a folder of a host; none where it is not there. */
const listed = (host: HostShape, folder: HostPath) =>
  Effect.catchIf(
    host.list(folder),
    ({ reason }) => reason === "not-found",
    () => Effect.succeed<ReadonlyArray<string>>([])
  )

const jobsFolder = (host: HostShape) => join(host.home, "jobs")

const stop = (host: HostShape, job: HostPath) =>
  Effect.asVoid(host.stopJob(job, { stop: "group", graceSeconds: 0 }))

/** Stops what runs in a sandbox's jobs, with proof, and removes their folder. */
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

/** Jobs of a host, of sandboxes that have ended or that nobody knows. */
const jobs = Effect.fn(function* ({ folders, host, living }: Seen, { standing }: Known) {
  const isLocal = host.name === "local"
  // What lies on another machine under an id that nobody knows may be another state directory's.
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

/**
 * All that is not as it is recorded, with what mends each; it changes nothing itself. Where there is no database there
 * is nothing to compare with, and nothing is found.
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
  const placements = new Map(
    (yield* store.list).map(({ placement }) => [JSON.stringify(placement), placement] as const)
  )
  const local = { host: "local" }
  const reached = yield* Effect.forEach(
    [local, ...[...placements.values()].filter(({ host }) => host !== local.host)],
    (placement) => Effect.either(Effect.flatMap(hosts.get(placement), look)),
    { concurrency: "unbounded" }
  )
  const lost = reached.flatMap((one) => (one._tag === "Left" ? [telling("host", one.left.message)] : []))
  // Read after the folders were: what was created in between is known.
  const records = knownOf(yield* store.list)
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

/** Watches a Job of Packer for what Packer itself does not notice, and finds the root cause of its failure. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { HostPath } from "../../../../domain/HostPath.js"
import { monotonicSeconds as now } from "../../../../domain/Monotonic.js"
import { Host } from "../../../../hosts/Host.js"
import type { JobRef } from "../../../../hosts/jobs/Jobs.js"
import type { BuildRecord, Packer } from "../../../../packer/Packer.js"
import type { RecipeError } from "../../../../recipe/Recipe.js"
import type { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import { watchAlone } from "./alone.js"
import { watchBrokenOutput } from "./brokenOutput.js"
import { watchMachine } from "./machine.js"
import { watchPort } from "./port.js"
import * as rootCause from "./rootCause.js"
import { makeSpace } from "./space.js"
import { makeWatched } from "./Watched.js"

export interface WatchOptions {
  /** Builds whose machine is a process of the Job. */
  readonly machines: ReadonlyArray<string>
  /** Folders that Packer writes to. */
  readonly folders: ReadonlyArray<HostPath>
  /** Free space that the profile asks for, in bytes. */
  readonly freeDisk: number | null
}

export const watchPacker = Effect.fn(function* (job: JobRef, options: WatchOptions) {
  const services = yield* Effect.context<Host | Packer | Reporter | Steps>()
  const host = yield* Host
  const steps = yield* Steps
  const watched = yield* makeWatched(job, options.machines)
  const isDecided = watched.verdict() !== undefined
  const oomKills = yield* steps.step("oom-kills", Schema.Number, rootCause.oomKills(host))
  const space = yield* makeSpace(watched, options)

  const watchers = [
    // The verdict of the supervisor before this one is carried out, even if all is well by now.
    ...(isDecided ? [watched.end(watched.timing.stopGrace)] : []),
    ...(options.machines.length > 0 ? [watchMachine(watched)] : []),
    watchPort(watched),
    watchBrokenOutput(watched),
    watchAlone(watched),
    space.watch
  ]
  return {
    /** Takes note of what Packer printed. */
    observe: (records: Iterable<BuildRecord>): Effect.Effect<void> =>
      Effect.map(now, (at) => watched.printed.add(records, at)),
    /** Never ends by itself. A watcher that cannot reach the host tries again. */
    watch: Effect.forEach(
      watchers,
      (watcher) =>
        Effect.zipRight(
          Effect.retry(watcher, { schedule: watched.repeatedly, while: ({ _tag }) => _tag === "HostError" }),
          Effect.never
        ),
      { concurrency: "unbounded", discard: true }
    ).pipe(Effect.provide(services)),
    /** Fails with the root cause of a failure of Packer, as far as the watchers know it. */
    explain: (error: RecipeError): Effect.Effect<never, RecipeError> =>
      Effect.gen(function* () {
        yield* Effect.ignore(space.measure)
        const said = error._tag === "ProvisionError" ? (watched.verdict() ?? error) : error
        const full = space.wasFull()
        return yield* full !== undefined && rootCause.mayBeOfDisk(said)
          ? rootCause.diskFull(host, full, said)
          : rootCause.mayBeOfMemory(said) && (yield* rootCause.oomKills(host)) > oomKills
            ? rootCause.outOfMemory(host, said)
            : said
      })
  }
})

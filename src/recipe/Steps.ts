/**
 * The journal of a recipe: a supervisor that takes over does not repeat what an earlier one has recorded.
 *
 * - The attempt's folder is created once and journaled. After the attempt's end it is gone and never created again, so an
 *   outdated supervisor cannot start a Job in it.
 * - A Job's folder and a fence are journaled before they are used, so that a cancel or the next term always finds them.
 * - A crash can happen between an effect and its journal entry: effects must be safe to repeat.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type HostPath, join } from "../domain/HostPath.js"
import { attemptHasEnded } from "../domain/Sandbox.js"
import { Host, type HostError, type HostShape, type StopSignal } from "../hosts/Host.js"
import type { JobRef } from "../hosts/jobs/Jobs.js"
import { SandboxStore, type Step, type StoreError } from "../store/SandboxStore.js"
import { Provision } from "./Provision.js"

export interface StepsShape {
  /** The attempt's own folder on the host. It is removed when the provision has ended. */
  readonly folder: HostPath
  /**
   * Runs `effect` at least once (a crash may fall between it and the journal, so it must be safe to repeat); later runs
   * of the recipe read the result from the journal. A jobless plan journals nothing: its steps run again.
   */
  readonly step: <A, I, E, R>(
    key: string,
    schema: Schema.Schema<A, I>,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreError, R>
  /** The result of a step that an earlier supervisor journaled. */
  readonly journaled: <A, I>(key: string, schema: Schema.Schema<A, I>) => Effect.Effect<Option.Option<A>>
  /**
   * Like `step`, for something long: `run` starts a Job in the given folder, or follows the one that is there. `stop`
   * says which processes get the signal when the provision is cancelled.
   */
  readonly job: <A, I, E, R>(
    key: string,
    options: { readonly schema: Schema.Schema<A, I>; readonly stop: StopSignal },
    run: (job: JobRef) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreError | HostError, R>
  /**
   * The fence of this term on the host, for changes outside `folder`, where other provisions work once this one is over.
   * The fences of earlier terms are closed: nothing of those terms runs any more, nor can it start.
   */
  readonly fence: Effect.Effect<HostPath, StoreError | HostError>
}

/** @category services */
export class Steps extends Context.Tag("sandboxer/Steps")<Steps, StepsShape>() {}

/** The folder of a sandbox on a host. Its contents are removed when the provision has ended. */
export const folderOf = (home: HostPath, id: string): HostPath => join(home, "jobs", id)

/** Removes the folder of an attempt that has ended, and the sandbox's folder if it is empty then. */
export const removeFolder = (host: HostShape, id: string, attempt: number): Effect.Effect<void, HostError> =>
  host.removeWithFolder(join(folderOf(host.home, id), String(attempt)))

const folderKey = "folder"
/** The journal key of a term's fence. */
export const fenceKey = (term: number) => `fence/${term}`
/** Whether the attempt has a folder to remove. A fence implies one. */
export const hasFolder = (steps: ReadonlyArray<Step>): boolean =>
  steps.some((step) => step.key === folderKey || isFence(step))
/** Whether a step is a fence, which is closed in the same way as a Job is stopped. */
export const isFence = ({ key }: Step): boolean => /^fence\/\d+$/.test(key)

/** @category layers */
export const layer: Layer.Layer<Steps, StoreError | HostError, SandboxStore | Provision | Host> =
  Layer.effect(
    Steps,
    Effect.gen(function* () {
      const store = yield* SandboxStore
      const host = yield* Host
      const { attempt, id, plan, term } = yield* Provision
      const folder = join(folderOf(host.home, id), String(attempt))
      const done = new Map((yield* store.steps(id, attempt)).map((step) => [step.key, step]))
      const { jobless } = plan
      const isMade = hasFolder([...done.values()])
      const journal = (step: Step) => store.commit({ id, term }, { step })
      // Created by the first term and never again: a term that continues after the attempt's end finds it gone and can
      // start no Job in it.
      const makeFolder = (step: Step) =>
        Effect.zipRight(
          host.makeFolder(folder),
          Effect.tapError(journal(step), () =>
            Effect.gen(function* () {
              if (attemptHasEnded(yield* store.get(id), attempt)) yield* removeFolder(host, id, attempt)
            }).pipe(Effect.ignore)
          )
        )
      // A jobless plan may never need it: that saves a round trip to a distant host.
      if (!jobless && !isMade)
        yield* makeFolder({ attempt, key: folderKey, job: null, result: { value: null } })
      const fence = yield* Effect.cached(
        Effect.gen(function* () {
          const before = [...done.values()].flatMap((step) => (isFence(step) && step.job ? [step.job] : []))
          yield* Effect.forEach(
            before,
            (job) => host.stopJob(job.folder, { stop: job.stop, graceSeconds: 0 }),
            {
              concurrency: "unbounded",
              discard: true
            }
          )
          // Journaled before it is used, so that the next term can close it.
          const job: JobStep = { folder: join(folder, `fence.${term}`), stop: "group" }
          const step: Step = { attempt, key: fenceKey(term), job, result: null }
          yield* jobless && !isMade ? makeFolder(step) : journal(step)
          return job.folder
        })
      )
      const keep = <A, I>(key: string, schema: Schema.Schema<A, I>, result: A, job?: JobStep) =>
        Effect.gen(function* () {
          const encoded = yield* Effect.orDie(Schema.encode(schema)(result))
          yield* journal({ attempt, key, job: job ?? null, result: { value: encoded } })
          return result
        })
      const journaled = <A, I>(key: string, schema: Schema.Schema<A, I>): Effect.Effect<Option.Option<A>> => {
        const result = done.get(key)?.result
        return result === null || result === undefined
          ? Effect.succeedNone
          : Effect.asSome(Effect.orDie(Schema.decodeUnknown(schema)(result.value)))
      }
      return {
        folder,
        step: (key, schema, effect) =>
          Effect.gen(function* () {
            const before = yield* journaled(key, schema)
            if (before._tag === "Some") return before.value
            const result = yield* effect
            return jobless ? result : yield* keep(key, schema, result)
          }),
        journaled,
        job: (key, { schema, stop }, run) =>
          Effect.gen(function* () {
            const before = yield* journaled(key, schema)
            if (before._tag === "Some") return before.value
            const job = { folder: join(folder, key), stop }
            // Journaled before it starts, so that a cancel finds it.
            yield* journal({ attempt, key, job, result: null })
            yield* host.makeSubfolder(job.folder)
            return yield* keep(key, schema, yield* run({ key, folder: job.folder }), job)
          }),
        fence
      }
    })
  )

interface JobStep {
  readonly folder: HostPath
  readonly stop: StopSignal
}

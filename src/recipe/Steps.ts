/** The journal of a recipe: what was done is not done again when another supervisor takes over. */
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
  /** The attempt's own folder on the host; it is removed when the provision has ended. */
  readonly folder: HostPath
  /**
   * Runs `effect` at least once (a crash may fall between it and the journal, so it has to be safe to repeat); later
   * runs of the recipe get the result from the journal. That of a plan without a Job has none: it runs again.
   */
  readonly step: <A, I, E, R>(
    key: string,
    schema: Schema.Schema<A, I>,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreError, R>
  /** The result of a step that a supervisor before this one journaled. */
  readonly journaled: <A, I>(key: string, schema: Schema.Schema<A, I>) => Effect.Effect<Option.Option<A>>
  /**
   * As `step`, for something long: `run` starts a Job in the given folder, or follows the one that is there. When
   * the provision is cancelled, the job is stopped as `stop` says.
   */
  readonly job: <A, I, E, R>(
    key: string,
    options: { readonly schema: Schema.Schema<A, I>; readonly stop: StopSignal },
    run: (job: JobRef) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreError | HostError, R>
  /**
   * The fence of this term on the host, for what is changed outside of `folder`, where others work when this provision is
   * over. Those of the terms before are down: nothing of them runs, nor ever will.
   */
  readonly fence: Effect.Effect<HostPath, StoreError | HostError>
}

/** @category services */
export class Steps extends Context.Tag("sandboxer/Steps")<Steps, StepsShape>() {}

/** The folder of a sandbox on a host; everything in it goes when its provision has ended. */
export const folderOf = (home: HostPath, id: string): HostPath => join(home, "jobs", id)

/** Removes the folder of an attempt that has ended, and that of its sandbox where nothing else is in it. */
export const removeFolder = (host: HostShape, id: string, attempt: number): Effect.Effect<void, HostError> =>
  host.removeWithFolder(join(folderOf(host.home, id), String(attempt)))

const folderKey = "folder"
/** What the fence of a term is journaled as. */
export const fenceKey = (term: number) => `fence/${term}`
/** Whether the attempt has a folder that has to go: a fence is in it. */
export const hasFolder = (steps: ReadonlyArray<Step>): boolean =>
  steps.some((step) => step.key === folderKey || isFence(step))
/** A step that journals a fence, and no job, though it is stopped like one. */
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
      // Made by whoever comes first, and then never again: a term that goes on behind the attempt's end finds it gone,
      // and can start no Job in it.
      const makeFolder = (step: Step) =>
        Effect.zipRight(
          host.makeFolder(folder),
          Effect.tapError(journal(step), () =>
            Effect.gen(function* () {
              if (attemptHasEnded(yield* store.get(id), attempt)) yield* removeFolder(host, id, attempt)
            }).pipe(Effect.ignore)
          )
        )
      // Without a job nothing may come into it: one errand less to a host that is far away.
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
          // Written down before it is used: whoever comes next takes it down.
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
            // Written down before it starts: whoever cancels finds it.
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

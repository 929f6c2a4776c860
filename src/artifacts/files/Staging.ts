/** What both ways of publishing share: a staging folder, and a journal of the files that will be published. */
import { rmdirSync } from "node:fs"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Artifact } from "../../domain/Artifact.js"
import { errorKind } from "../../domain/ErrorKind.js"
import { ProvisionError } from "../../domain/Failure.js"
import { attemptHasEnded } from "../../domain/Sandbox.js"
import * as Digest from "../../internal/Digest.js"
import { SandboxStore } from "../../store/SandboxStore.js"
import type { Publisher } from "../Artifacts.js"

// The step that journals the folder and the files that will be put into it, with their digests.
const publicationKey = "publication"
const Publications = Schema.Struct({ folder: Schema.String, artifacts: Schema.Array(Artifact) })

export const cannotWrite = (error: { readonly message: string }) =>
  Effect.fail(
    new ProvisionError({
      reason: errorKind(error) === "disk-full" ? "disk-full" : "disk-space",
      message: `artifacts cannot be written: ${error.message}`,
      hint: "check the space and the permissions of the folder that artifacts go to"
    })
  )

/** Removes a folder if it is empty. rmdir(2) decides, since others may put something into it at any moment. */
export const removeEmpty = (folder: string): Effect.Effect<void> =>
  Effect.ignore(Effect.try(() => rmdirSync(folder)))

/** Makes the staging of one attempt. */
export const make = ({ attempt, id, term }: Publisher) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const store = yield* SandboxStore
    const nameOf = (ofTerm: number) => `.staging-${id}.${ofTerm}`
    /** Removes the folders of this term and of all terms before it, which may still be running without a lease. */
    const clear = (folder: string) =>
      Effect.forEach(
        Array.from({ length: term }, (_, index) => path.join(folder, nameOf(index + 1))),
        (staging) => fs.remove(staging, { recursive: true, force: true }),
        { discard: true }
      )
    return {
      /** Creates the staging folder of this term and removes those of earlier terms. */
      begin: (folder: string) =>
        Effect.gen(function* () {
          const staging = path.join(folder, nameOf(term))
          yield* clear(folder)
          yield* fs.makeDirectory(staging, { mode: 0o700 })
          // Fails without the lease: an outdated supervisor may have created its folder after a new one removed it.
          yield* store.commit({ id, term }, {})
          return staging
        }),
      digest: (file: string) => Effect.provideService(Digest.sha256(file), FileSystem.FileSystem, fs),
      isThere: (file: string) => Effect.orElseSucceed(fs.exists(file), () => false),
      clear,
      /**
       * Cleans up, however publishing ended. An outdated supervisor that is still running after the end of the attempt has
       * created its folders again: they are removed, since no later term will do it.
       */
      leave: (folder: string) =>
        Effect.gen(function* () {
          yield* clear(folder)
          const late = attemptHasEnded(yield* store.get(id), attempt)
          if (late && path.basename(folder) === id) yield* removeEmpty(folder)
        }).pipe(Effect.ignore),
      intended: Effect.flatMap(store.steps(id, attempt), (steps) => {
        const value = steps.find(({ key }) => key === publicationKey)?.result?.value
        return value === undefined
          ? Effect.succeed(undefined)
          : Effect.orDie(Schema.decodeUnknown(Publications)(value))
      }),
      /** Journals what will be published before users can see it, so that a failed provision can remove it. */
      intend: (folder: string, artifacts: ReadonlyArray<Artifact>) =>
        Effect.gen(function* () {
          const value = yield* Effect.orDie(Schema.encode(Publications)({ folder, artifacts }))
          yield* store.commit(
            { id, term },
            { step: { attempt, key: publicationKey, job: null, result: { value } } }
          )
        })
    }
  })

export type Staging = Effect.Effect.Success<ReturnType<typeof make>>

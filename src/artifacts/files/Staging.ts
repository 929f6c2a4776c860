/** What both ways of publishing have in common: a place to make files ready in, and word of what will be published. */
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

// What was put in its place, by name and digest, and where it was made ready.
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

/** By rmdir(2), since somebody may put something into it at any moment. */
export const removeEmpty = (folder: string): Effect.Effect<void> =>
  Effect.ignore(Effect.try(() => rmdirSync(folder)))

/** For one provision. */
export const make = ({ attempt, id, term }: Publisher) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const store = yield* SandboxStore
    const nameOf = (ofTerm: number) => `.staging-${id}.${ofTerm}`
    /** Of this term and those before it; one that goes on although its lease was taken finds its own gone. */
    const clear = (folder: string) =>
      Effect.forEach(
        Array.from({ length: term }, (_, index) => path.join(folder, nameOf(index + 1))),
        (staging) => fs.remove(staging, { recursive: true, force: true }),
        { discard: true }
      )
    return {
      /** Makes the staging folder of this term, which those before it have no more. */
      begin: (folder: string) =>
        Effect.gen(function* () {
          const staging = path.join(folder, nameOf(term))
          yield* clear(folder)
          yield* fs.makeDirectory(staging, { mode: 0o700 })
          // Whoever made it behind another's back does nothing with it; whoever lost the lease since finds it gone.
          yield* store.commit({ id, term }, {})
          return staging
        }),
      digest: (file: string) => Effect.provideService(Digest.sha256(file), FileSystem.FileSystem, fs),
      isThere: (file: string) => Effect.orElseSucceed(fs.exists(file), () => false),
      clear,
      /**
       * What is done whichever way publishing ended. A term that goes on behind the attempt's end made its folders
       * anew: they go again, and nobody else puts anything there any more.
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
      /** Written down before anything is where users see it: a provision that does not end well takes it away again. */
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

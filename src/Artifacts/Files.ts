/** Artifacts as files of this machine. */
import { randomBytes } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Artifacts, type Destination, type Publication } from "../Artifacts.js"
import * as Digest from "../Digest.js"
import { Artifact, ArtifactId } from "../domain/Artifact.js"
import { ProvisionError } from "../domain/Failure.js"
import { Host } from "../Host.js"
import { Provision } from "../Provision.js"
import { SandboxStore } from "../SandboxStore.js"
import { Settings } from "../Settings.js"

// What was put in its place, by name and digest, and where it was made ready.
const publicationKey = "publication"
const Publications = Schema.Struct({ folder: Schema.String, artifacts: Schema.Array(Artifact) })

const cannotWrite = (error: { readonly message: string }) =>
  Effect.fail(
    new ProvisionError({
      reason: /ENOSPC|EDQUOT|no space left/i.test(error.message) ? "disk-full" : "disk-space",
      message: `artifacts cannot be written: ${error.message}`,
      hint: "check the space and the permissions of the folder that artifacts go to"
    })
  )

/** @category layers */
export const layer = Layer.effect(
  Artifacts,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const store = yield* SandboxStore
    const host = yield* Host
    const { home } = yield* Settings
    const { attempt, id, term } = yield* Provision

    const digest = (file: string) => Effect.provideService(Digest.sha256(file), FileSystem.FileSystem, fs)
    const isThere = (file: string) => Effect.orElseSucceed(fs.exists(file), () => false)
    const stagingName = (ofTerm: number) => `.staging-${id}.${ofTerm}`
    // Of this term and those before it; one that goes on although its lease was taken finds its own gone.
    const clearStaging = (folder: string) =>
      Effect.forEach(
        Array.from({ length: term }, (_, index) => path.join(folder, stagingName(index + 1))),
        (staging) => fs.remove(staging, { recursive: true, force: true }),
        { discard: true }
      )
    const intended = Effect.flatMap(store.steps(id, attempt), (steps) => {
      const value = steps.find(({ key }) => key === publicationKey)?.result?.value
      return value === undefined
        ? Effect.succeed(undefined)
        : Effect.orDie(Schema.decodeUnknown(Publications)(value))
    })
    // Written down before anything is where users see it: a provision that does not end well takes it away again.
    const intend = (folder: string, artifacts: ReadonlyArray<Artifact>) =>
      Effect.gen(function* () {
        const value = yield* Effect.orDie(Schema.encode(Publications)({ folder, artifacts }))
        yield* store.commit(
          { id, term },
          { step: { attempt, key: publicationKey, job: null, result: { value } } }
        )
      })

    // Under a name that no other term uses; it is whole before it gets the name that users see.
    const stage = (file: Publication, staging: string) =>
      Effect.gen(function* () {
        const staged = path.join(staging, file.name)
        yield* host.get(file.source, staged)
        const sha256 = yield* digest(staged)
        const { size } = yield* fs.stat(staged)
        yield* fs.writeFileString(`${staged}.sha256`, `${sha256}  ${file.name}\n`)
        yield* fs.chmod(staged, 0o644)
        return { ...file, sha256, sizeBytes: Number(size) }
      })

    const put = (staged: string, to: string, replace: boolean) =>
      Effect.gen(function* () {
        if (replace) return yield* fs.rename(staged, to)
        // link(2) fails where the name exists; then it is ours from before a crash, or it is someone else's.
        const linked = yield* Effect.either(fs.link(staged, to))
        if (linked._tag === "Right") return
        if (!(yield* isThere(to))) return yield* linked.left
        if ((yield* digest(staged)) === (yield* digest(to))) return
        return yield* new ProvisionError({
          reason: "output-exists",
          message: `${to} exists already`,
          hint: "choose another output_directory, or let it be replaced: -i force=true"
        })
      })

    return {
      defaultFolder: (vmName) => path.join(home, "artifacts", vmName, id),
      names: (folder) =>
        Effect.if(isThere(folder), {
          onTrue: () => fs.readDirectory(folder),
          onFalse: () => Effect.succeed([])
        }).pipe(Effect.catchTags({ BadArgument: cannotWrite, SystemError: cannotWrite })),
      publish: (files: ReadonlyArray<Publication>, { folder, replace }: Destination) =>
        Effect.gen(function* () {
          const staging = path.join(folder, stagingName(term))
          if ((yield* intended) === undefined) yield* intend(folder, [])
          yield* fs.makeDirectory(folder, { recursive: true })
          yield* clearStaging(folder)
          yield* fs.makeDirectory(staging, { mode: 0o700 })
          const staged = yield* Effect.forEach(files, (file) => stage(file, staging))
          const made = staged.map(
            ({ format, name, primary, sha256, sizeBytes }): Artifact => ({
              id: ArtifactId.make(randomBytes(6).toString("hex")),
              name,
              path: path.join(folder, name),
              format,
              sizeBytes,
              sha256,
              primary
            })
          )
          yield* intend(folder, made)
          for (const { name } of made) {
            yield* put(path.join(staging, name), path.join(folder, name), replace)
            yield* put(path.join(staging, `${name}.sha256`), path.join(folder, `${name}.sha256`), replace)
          }
          yield* store.commit(
            { id, term },
            {
              change: { artifacts: made },
              events: made.map((artifact) => ({
                identity: `${attempt}/artifact/${artifact.name}`,
                type: "artifact" as const,
                message: `made ${artifact.path}`,
                data: { name: artifact.name, sizeBytes: artifact.sizeBytes, sha256: artifact.sha256 }
              }))
            }
          )
          yield* clearStaging(folder)
          return made
        }).pipe(Effect.catchTags({ BadArgument: cannotWrite, SystemError: cannotWrite })),
      withdraw: Effect.gen(function* () {
        const publication = yield* intended
        if (publication === undefined) return
        const { artifacts, folder } = publication
        yield* clearStaging(folder)
        for (const { path: file, sha256 } of artifacts) {
          // One that was there before us is not ours to take away.
          if (!(yield* isThere(file)) || (yield* digest(file)) !== sha256) continue
          // Last, as it tells that there is something to take away.
          yield* fs.remove(`${file}.sha256`, { force: true })
          yield* fs.remove(file)
        }
        yield* store.commit({ id, term }, { change: { artifacts: [] } })
        // A folder of its own has its id for a name; any other is the user's.
        if (path.basename(folder) === id && (yield* isThere(folder))) {
          if ((yield* fs.readDirectory(folder)).length === 0) yield* fs.remove(folder, { recursive: true })
        }
      }).pipe(Effect.catchTags({ BadArgument: cannotWrite, SystemError: cannotWrite }))
    }
  })
)

/** Artifacts as files on this machine. */
import { randomBytes } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Artifact, ArtifactId } from "../../domain/Artifact.js"
import * as Event from "../../domain/events/Event.js"
import { ProvisionError } from "../../domain/Failure.js"
import { Host } from "../../hosts/Host.js"
import { Settings } from "../../settings/Settings.js"
import { SandboxStore } from "../../store/SandboxStore.js"
import { Artifacts, type Destination, type Publication, type Publisher } from "../Artifacts.js"
import * as Results from "./Results.js"
import * as Staging from "./Staging.js"
import { cannotWrite, removeEmpty } from "./Staging.js"

/** @category layers */
export const layer = (publisher: Publisher) =>
  Layer.effect(
    Artifacts,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const store = yield* SandboxStore
      const host = yield* Host
      const { home } = yield* Settings
      const { attempt, id, term } = publisher

      const staging = yield* Staging.make(publisher)
      const results = yield* Results.make(staging, publisher)
      const { digest, intend, intended, isThere } = staging

      // In a folder that no other term uses, so the file is complete before it gets the name that users see.
      const stage = (file: Publication, folder: string) =>
        Effect.gen(function* () {
          const staged = path.join(folder, file.name)
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
          // link(2) fails if the name exists: the file is ours from before a crash, or somebody else's.
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

      /** Removes empty folders between `at` and `folder`, from the inside out. */
      const removeEmptyWithin = (folder: string, at: string): Effect.Effect<void> =>
        at.startsWith(`${folder}/`)
          ? Effect.zipRight(removeEmpty(at), removeEmptyWithin(folder, path.dirname(at)))
          : Effect.void

      /** Removes a published file unless its content changed, through the staging folder, which no other term uses. */
      const unpublish = (file: string, sha256: string, staged: string) =>
        Effect.gen(function* () {
          // A file that existed before is not ours.
          if (!(yield* isThere(file)) || (yield* digest(file)) !== sha256) return
          // The file itself goes last: while it is there, a repetition finds it and goes on.
          if (yield* isThere(`${file}.sha256`)) yield* fs.rename(`${file}.sha256`, `${staged}/sha256`)
          yield* fs.rename(file, `${staged}/file`)
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
            if ((yield* intended) === undefined) yield* intend(folder, [])
            yield* fs.makeDirectory(folder, { recursive: true })
            const ready = yield* staging.begin(folder)
            const staged = yield* Effect.forEach(files, (file) => stage(file, ready))
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
              yield* put(path.join(ready, name), path.join(folder, name), replace)
              yield* put(path.join(ready, `${name}.sha256`), path.join(folder, `${name}.sha256`), replace)
            }
            yield* store.commit(
              { id, term },
              {
                change: { artifacts: made },
                events: made.map((artifact) => Event.artifactMade(attempt, artifact))
              }
            )
            return made
          }).pipe(
            Effect.ensuring(staging.leave(folder)),
            Effect.catchTags({ BadArgument: cannotWrite, SystemError: cannotWrite })
          ),
        ...results,
        withdraw: Effect.gen(function* () {
          const publication = yield* intended
          if (publication === undefined) return
          const { artifacts, folder } = publication
          yield* staging.clear(folder)
          if (artifacts.length > 0 && (yield* isThere(folder))) {
            yield* staging.begin(folder).pipe(
              Effect.flatMap((staged) =>
                Effect.forEach(artifacts, ({ path: file, sha256 }) =>
                  Effect.zipRight(
                    unpublish(file, sha256, staged),
                    removeEmptyWithin(folder, path.dirname(file))
                  )
                )
              ),
              Effect.ensuring(staging.leave(folder))
            )
          }
          // A receipt stays, since it describes failures, too.
          const others = ((yield* store.get(id))?.artifacts ?? []).filter(
            (one) => !artifacts.some((withdrawn) => withdrawn.name === one.name)
          )
          yield* store.commit({ id, term }, { change: { artifacts: others } })
          // A folder named after the sandbox's id is its own; any other is the user's.
          if (path.basename(folder) === id) yield* removeEmpty(folder)
        }).pipe(Effect.catchTags({ BadArgument: cannotWrite, SystemError: cannotWrite }))
      }
    })
  )

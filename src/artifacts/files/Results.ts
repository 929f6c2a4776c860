/** Copies the files that a command made on its host to this machine; they replace those of an earlier command. */
import { randomBytes } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { type Artifact, ArtifactId } from "../../domain/Artifact.js"
import * as Event from "../../domain/events/Event.js"
import { ProvisionError } from "../../domain/Failure.js"
import type { HostPath } from "../../domain/HostPath.js"
import { type CollectedFile, print, type Receipt, receiptName } from "../../domain/Receipt.js"
import { Host } from "../../hosts/Host.js"
import { SandboxStore } from "../../store/SandboxStore.js"
import type { Publisher, ResultsFolder } from "../Artifacts.js"
import { cannotWrite, type Staging } from "./Staging.js"

export const make = (staging: Staging, { attempt, id, term }: Publisher) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const store = yield* SandboxStore
    const host = yield* Host

    const artifact = (
      folder: string,
      { name, sha256, sizeBytes }: CollectedFile,
      primary: boolean
    ): Artifact => ({
      id: ArtifactId.make(randomBytes(6).toString("hex")),
      name,
      path: path.join(folder, name),
      format: path.extname(name).slice(1) || "file",
      sizeBytes,
      sha256,
      primary
    })

    const record = (made: ReadonlyArray<Artifact>) =>
      Effect.gen(function* () {
        const before = (yield* store.get(id))?.artifacts ?? []
        const others = before.filter(({ name }) => !made.some((one) => one.name === name))
        yield* store.commit({ id, term }, { change: { artifacts: [...others, ...made] } })
      })

    /** The place of a file, which must not lead through a link to another folder. */
    const placeOf = (folder: string, name: string) =>
      Effect.gen(function* () {
        const to = path.join(folder, name)
        yield* fs.makeDirectory(path.dirname(to), { recursive: true })
        const own = yield* fs.realPath(folder)
        const real = yield* fs.realPath(path.dirname(to))
        if (real === own || real.startsWith(`${own}/`)) return to
        return yield* new ProvisionError({
          reason: "collect-failed",
          message: `${path.dirname(to)} is a link out of ${folder}, to ${real}`,
          hint: "remove the link, or collect into another folder"
        })
      })

    return {
      collect: (
        from: { readonly folder: HostPath; readonly names: ReadonlyArray<string> },
        into: ResultsFolder
      ) =>
        Effect.gen(function* () {
          const { folder, own } = into
          yield* staging.intend(folder, [])
          yield* fs.makeDirectory(folder, { recursive: true })
          const staged = yield* staging.begin(folder)
          yield* host.fetch(from.folder, from.names, staged)
          const files = yield* Effect.forEach(
            from.names,
            (name) =>
              Effect.gen(function* () {
                const file = path.join(staged, name)
                const { size } = yield* fs.stat(file)
                return { name, sizeBytes: Number(size), sha256: yield* staging.digest(file) }
              }),
            { concurrency: 8 }
          )
          const made = own ? files.map((file, index) => artifact(folder, file, index === 0)) : []
          yield* staging.intend(folder, made)
          for (const { name } of files) {
            yield* fs.rename(path.join(staged, name), yield* placeOf(folder, name))
          }
          if (own) yield* record(made)
          return files
        }).pipe(
          Effect.ensuring(staging.leave(into.folder)),
          Effect.catchTags({ BadArgument: cannotWrite, SystemError: cannotWrite })
        ),
      receipt: (receipt: Receipt, { folder, own }: ResultsFolder) =>
        Effect.gen(function* () {
          if ((yield* staging.intended) === undefined) yield* staging.intend(folder, [])
          yield* fs.makeDirectory(folder, { recursive: true })
          const staged = path.join(yield* staging.begin(folder), receiptName)
          yield* fs.writeFileString(staged, print(receipt))
          const sha256 = yield* staging.digest(staged)
          const { size } = yield* fs.stat(staged)
          yield* fs.rename(staged, path.join(folder, receiptName))
          if (own)
            yield* record([artifact(folder, { name: receiptName, sizeBytes: Number(size), sha256 }, false)])
          const written = Event.receiptWritten(attempt, path.join(folder, receiptName))
          yield* store.commit({ id, term }, { events: [written] })
        }).pipe(
          Effect.ensuring(staging.leave(folder)),
          Effect.catchTags({ BadArgument: cannotWrite, SystemError: cannotWrite })
        )
    }
  })

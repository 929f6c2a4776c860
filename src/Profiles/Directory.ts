/** Profiles in folders: `NAME.yaml`, or `NAME/profile.yaml` where one brings its template along. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { NotFound, UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import { merge, type Profile } from "../domain/Profile.js"
import { type ProfileEntry, Profiles } from "../Profiles.js"
import { Settings } from "../Settings.js"
import { decode, largestFile, parse, type RawProfile } from "./Document.js"

interface Found {
  readonly id: string
  readonly file: string
  readonly origin: string
  readonly raw: Either.Either<RawProfile, UsageError>
}

/** @category layers */
export const layer = Layer.effect(
  Profiles,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { profileFolders } = yield* Settings

    const unreadable = (file: string, message: string) =>
      new UsageError({
        reason: "profile",
        message,
        hint: "a profile is a YAML document of a few kilobytes",
        location: { file, line: 1, column: 1 }
      })

    const readRaw = (file: string): Effect.Effect<RawProfile, UsageError> =>
      Effect.gen(function* () {
        const { size, type } = yield* fs.stat(file)
        if (type !== "File") return yield* unreadable(file, "it is no file")
        if (Number(size) > largestFile) return yield* unreadable(file, `it is too large: ${size} bytes`)
        return yield* parse(file, yield* fs.readFileString(file))
      }).pipe(
        Effect.catchTags({
          BadArgument: (error) => unreadable(file, error.message),
          SystemError: (error) => unreadable(file, error.message)
        })
      )

    const find = (file: string, origin: string): Effect.Effect<Found> =>
      Effect.map(Effect.either(readRaw(file)), (raw) => {
        const written = Either.isRight(raw) ? raw.right.keys.id : undefined
        const name =
          path.basename(file) === "profile.yaml"
            ? path.basename(path.dirname(file))
            : path.basename(file, path.extname(file))
        return { id: typeof written === "string" ? written : `profile.${name}`, file, origin, raw }
      })

    const inFolder = (folder: string, origin: string) =>
      Effect.gen(function* () {
        const names = yield* Effect.orElseSucceed(fs.readDirectory(folder), () => [])
        const files = yield* Effect.forEach(names.sort(), (name) => {
          const inner = path.join(folder, name, "profile.yaml")
          return /\.ya?ml$/.test(name)
            ? Effect.succeed([path.join(folder, name)])
            : Effect.map(
                Effect.orElseSucceed(fs.exists(inner), () => false),
                (there) => (there ? [inner] : [])
              )
        })
        return yield* Effect.forEach(files.flat(), (file) => find(file, origin))
      })

    // Read when it is asked for: most commands have no use for profiles.
    const findAll = Effect.map(
      Effect.forEach(profileFolders, ({ origin, path: folder }) => inFolder(folder, origin)),
      (found) => found.flat()
    )

    const chain = (
      found: ReadonlyArray<Found>,
      raw: RawProfile,
      below: ReadonlyArray<string>
    ): Either.Either<ReadonlyArray<RawProfile>, UsageError> =>
      Either.gen(function* () {
        const base = raw.keys.extends
        if (typeof base !== "string") return [raw]
        const wrong = (message: string, hint: string) =>
          new UsageError({
            reason: "profile",
            message,
            hint,
            location: { file: raw.file, ...raw.locate(["extends"]) }
          })
        if (below.includes(base)) {
          return yield* Either.left(
            wrong(
              `profiles extend each other: ${[...below, base].join(" → ")}`,
              "take one of these `extends` out"
            )
          )
        }
        const next = found.find(({ id }) => id === base)
        if (next === undefined) {
          const ids = found.map(({ id }) => id)
          return yield* Either.left(
            wrong(`no profile ${base}`, didYouMean(base, ids, `profiles are ${ids.join(", ")}`))
          )
        }
        return [raw, ...(yield* chain(found, yield* next.raw, [...below, base]))]
      })

    // A default that is a path is relative to the file it was written in.
    const resolve = (
      found: ReadonlyArray<Found>,
      { file, id, origin, raw }: Found
    ): Either.Either<Profile, UsageError> =>
      Either.gen(function* () {
        const own = yield* raw
        const [first = own, ...others] = yield* chain(found, own, [id])
        const keys = [first, ...others].reduceRight<Record<string, unknown>>(
          (merged, { keys }) => merge(merged, keys),
          {}
        )
        const document = yield* decode(keys, [first, ...others])
        return { document, file, folder: path.dirname(file), origin }
      })

    const entries = Effect.map(findAll, (found): ReadonlyArray<ProfileEntry> => {
      const firsts = found.filter(({ id }, index) => found.findIndex((other) => other.id === id) === index)
      return firsts
        .map(
          (one): ProfileEntry =>
            Either.match(resolve(found, one), {
              onLeft: (error) => ({ _tag: "Broken", id: one.id, file: one.file, error }),
              onRight: (profile) => ({
                _tag: "Usable",
                id: one.id,
                profile,
                shadows: found
                  .filter((other) => other.id === one.id && other !== one)
                  .map((other) => other.file)
              })
            })
        )
        .sort((a, b) => (a.id < b.id ? -1 : 1))
    })

    return {
      list: entries,
      get: (id) =>
        Effect.gen(function* () {
          const found = yield* findAll
          const wanted = id.startsWith("profile.") ? id : `profile.${id}`
          const one = found.find((other) => other.id === wanted)
          if (one !== undefined) return yield* resolve(found, one)
          const ids = [...new Set(found.map((other) => other.id))]
          return yield* new NotFound({
            reason: "profile",
            message: `no profile ${id}`,
            hint: didYouMean(wanted, ids, "`sandboxer profile list` shows those that there are")
          })
        }),
      read: (file) =>
        Effect.gen(function* () {
          const found = yield* findAll
          if (!(yield* Effect.orElseSucceed(fs.exists(file), () => false))) {
            return yield* new NotFound({
              reason: "profile",
              message: `no file ${file}`,
              hint: "check the path"
            })
          }
          return yield* resolve(found, yield* find(path.resolve(file), "named"))
        })
    }
  })
)

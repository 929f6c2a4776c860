/** Profiles in folders: `NAME.yaml`, or `NAME/profile.yaml` where one brings its template along. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { describeError, errorKind } from "../../domain/ErrorKind.js"
import { NotFound, UsageError } from "../../domain/Errors.js"
import { didYouMean } from "../../domain/Nearest.js"
import { merge, type Profile } from "../../domain/Profile.js"
import * as Documents from "../../settings/Documents.js"
import { Settings } from "../../settings/Settings.js"
import { type ProfileEntry, Profiles } from "../Profiles.js"
import { decode, kind, type RawProfile, says } from "./ProfileDocument.js"

type Raw = Either.Either<RawProfile, UsageError>

/** A file of a profile; it is parsed only where that is asked for, for most commands want one of many. */
interface Found {
  readonly file: string
  readonly origin: string
  readonly raw: () => Raw
  readonly id: () => string
  /** False only of an id that it hardly has: one that it does not say on one line, as it is. */
  readonly mayBe: (id: string) => boolean
}

// Files are read at once: each trip to Node's threads takes longer than that, and there are many profiles.

/** Names in a folder, sorted, but for hidden ones, which are an editor's; none where it cannot be read. */
const namesIn = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith("."))
      .sort()
  } catch {
    return []
  }
}

const readText = (file: string): Either.Either<string, UsageError> => {
  const unreadable = (message: string) => Either.left(Documents.unreadable(file, kind, message))
  try {
    const found = statSync(file)
    const problem = Documents.problemOf({ isFile: found.isFile(), size: found.size })
    return problem === undefined ? Either.right(readFileSync(file, "utf8")) : unreadable(problem)
  } catch (error) {
    return unreadable(errorKind(error) === "not-found" ? "there is no such file" : describeError(error))
  }
}

/** Whether a line of a document looks as if it said its id. */
const isCalled = (text: string, id: string): boolean =>
  text.split("\n").some((line) => line.includes(id) && /\bid\b/.test(line))

/** Those that have the id, the first that was found first. */
const called = (found: ReadonlyArray<Found>, id: string): ReadonlyArray<Found> => {
  const likely = found.filter((one) => one.mayBe(id) && one.id() === id)
  return likely.length > 0 ? likely : found.filter((one) => one.id() === id)
}

/** @category layers */
export const layer = Layer.effect(
  Profiles,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { profileFolders } = yield* Settings

    const find = (file: string, origin: string): Found => {
      const text = readText(file)
      const name = path.basename(file) === "profile.yaml" ? path.dirname(file) : file
      const byName = `profile.${path.basename(name, path.extname(name))}`
      let parsed: Raw | undefined
      const raw = () => {
        parsed ??= Either.flatMap(text, (written) => Documents.parse(file, written, kind))
        return parsed
      }
      return {
        file,
        origin,
        raw,
        id: () => {
          const written = Either.getOrUndefined(raw())?.keys.id
          return typeof written === "string" ? written : byName
        },
        mayBe: (id) => id === byName || (Either.isRight(text) && isCalled(text.right, id))
      }
    }

    const inFolder = (folder: string, origin: string): ReadonlyArray<Found> =>
      namesIn(folder).flatMap((name) => {
        if (/\.ya?ml$/.test(name)) return [find(path.join(folder, name), origin)]
        const inner = path.join(folder, name, "profile.yaml")
        return existsSync(inner) ? [find(inner, origin)] : []
      })

    // Read when it is asked for: most commands have no use for profiles.
    const findAll = Effect.sync(() =>
      profileFolders.flatMap(({ origin, path: folder }) => inFolder(folder, origin))
    )

    // Of the folders that are looked in, one that was named has to be there.
    const missing = Effect.gen(function* () {
      const folder = profileFolders.find(({ origin }) => origin === "flag")?.path
      if (folder === undefined) return []
      const stat = yield* Effect.orElseSucceed(fs.stat(folder), () => undefined)
      if (stat?.type === "Directory") return []
      const error = new UsageError({
        reason: "configuration",
        message: `there is no folder of profiles ${folder}`,
        hint: "check --profiles, SANDBOXER_PROFILES and `profiles` in the configuration file"
      })
      return [{ _tag: "Broken", id: folder, file: folder, error } as const]
    })

    const search = Effect.gen(function* () {
      const [broken] = yield* missing
      return broken === undefined ? yield* findAll : yield* broken.error
    })

    const chain = (
      found: ReadonlyArray<Found>,
      raw: RawProfile,
      below: ReadonlyArray<string>
    ): Either.Either<readonly [RawProfile, ...Array<RawProfile>], UsageError> =>
      Either.gen(function* () {
        const base = raw.keys.extends
        if (typeof base !== "string") return [raw] as const
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
        const [next] = called(found, base)
        if (next === undefined) {
          const ids = found.map(({ id }) => id())
          return yield* Either.left(
            wrong(`no profile ${base}`, didYouMean(base, ids, `profiles are ${ids.join(", ")}`))
          )
        }
        return [raw, ...(yield* chain(found, yield* next.raw(), [...below, base]))] as const
      })

    const resolve = (
      found: ReadonlyArray<Found>,
      { file, id: idOf, origin, raw: rawOf }: Found
    ): Either.Either<Profile, UsageError> =>
      Either.gen(function* () {
        const own = yield* rawOf()
        const id = idOf()
        const raws = yield* chain(found, own, [id])
        // All but the id: a profile is not called what the one is called that it extends.
        const keys = raws.reduceRight<Record<string, unknown>>(
          ({ id: _, ...base }, raw) => merge(base, raw.keys),
          {}
        )
        const document = yield* decode(keys, raws)
        return {
          document,
          file,
          folder: path.dirname(file),
          folderOf: (key) => path.dirname((raws.find((raw) => says(raw, key)) ?? own).file),
          saidBy: (key) =>
            raws
              .filter((raw) => says(raw, key))
              .map((raw) => ({
                id: String(raw.keys.id),
                location: { file: raw.file, ...raw.locate(key) }
              })),
          origin,
          shadows: called(found, id).flatMap((other) => (other.file === file ? [] : [other.file]))
        }
      })

    const entries = Effect.map(findAll, (found): ReadonlyArray<ProfileEntry> => {
      const firsts = found.filter(
        (one, index) => found.findIndex((other) => other.id() === one.id()) === index
      )
      return firsts
        .map(
          (one): ProfileEntry =>
            Either.match(resolve(found, one), {
              onLeft: (error) => ({ _tag: "Broken", id: one.id(), file: one.file, error }),
              onRight: (profile) => ({ _tag: "Usable", id: one.id(), profile })
            })
        )
        .sort((a, b) => (a.id < b.id ? -1 : 1))
    })

    return {
      list: Effect.zipWith(missing, entries, (broken, all) => [...broken, ...all]),
      get: (id) =>
        Effect.gen(function* () {
          const found = yield* search
          const wanted = id.startsWith("profile.") ? id : `profile.${id}`
          const [one] = called(found, wanted)
          if (one !== undefined) return yield* resolve(found, one)
          const ids = [...new Set(found.map((other) => other.id()))]
          return yield* new NotFound({
            reason: "profile",
            message: `no profile ${id}`,
            hint: didYouMean(wanted, ids, "`sandboxer profile list` shows those that there are")
          })
        }),
      read: (file) =>
        Effect.gen(function* () {
          const found = yield* search
          if (!(yield* Effect.orElseSucceed(fs.exists(file), () => false))) {
            return yield* new NotFound({
              reason: "profile",
              message: `no file ${file}`,
              hint: "check the path"
            })
          }
          return yield* resolve(found, find(path.resolve(file), "named"))
        })
    }
  })
)

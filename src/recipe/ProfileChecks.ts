/** Checks a profile as far as possible without inputs from a user. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { UsageError } from "../domain/Errors.js"
import { defaultOf } from "../domain/Input.js"
import type { Profile } from "../domain/Profile.js"
import type { Extensions } from "./Extension.js"
import * as ProfileMode from "./ProfileMode.js"

const { profileError } = ProfileMode

const isThere = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.orElseSucceed(fs.exists(file), () => false))

const ofDefaults = (profile: Profile, { inputs }: ProfileMode.ProfileMode) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const problems: Array<UsageError> = []
    for (const [name, declared] of Object.entries(inputs)) {
      const keys = ["inputs", name, "default"]
      const absolute = (file: string) => path.resolve(profile.folderOf(keys), file)
      const value = defaultOf(name, declared, absolute)
      if (Either.isLeft(value)) {
        problems.push(profileError(profile, keys, value.left.message, value.left.hint))
      } else if (declared.exists === true) {
        const files = [value.right].flat().filter((file) => typeof file === "string")
        for (const file of files) {
          if (yield* isThere(file)) continue
          problems.push(
            profileError(
              profile,
              keys,
              `input ${name}: ${file} does not exist`,
              "correct the path, or create it"
            )
          )
        }
      }
    }
    return problems
  })

const ofPrepare = (profile: Profile) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const problems: Array<UsageError> = []
    for (const name of profile.document.prepare?.inputs ?? []) {
      const file = path.resolve(profile.folderOf(["prepare", "inputs"]), name)
      if (yield* isThere(file)) continue
      const hint = "correct the path; it is relative to the profile's file"
      problems.push(profileError(profile, ["prepare", "inputs"], `prepare: ${file} does not exist`, hint))
    }
    return problems
  })

/** The mistakes in a profile that could be read. A profile without an extension is a base for others. */
export const check = (
  profile: Profile
): Effect.Effect<ReadonlyArray<UsageError>, never, Extensions | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const prepared = yield* ofPrepare(profile)
    if (profile.document.extension === undefined) return prepared
    const mode = yield* Effect.either(ProfileMode.find(profile))
    return Either.isLeft(mode)
      ? [mode.left, ...prepared]
      : [...mode.right.problems, ...(yield* ofDefaults(profile, mode.right)), ...prepared]
  })

import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { NotFound, UsageError } from "../../domain/Errors.js"
import type { Profile } from "../../domain/Profile.js"
import { type ProfileEntry, Profiles } from "../../profiles/Profiles.js"
import { check } from "../../recipe/ProfileChecks.js"
import { Ended, ofError } from "../ExitCode.js"
import { report } from "../Printer.js"

interface Checked {
  readonly file: string
  readonly errors: ReadonlyArray<UsageError | NotFound>
}

const checkProfile = (profile: Profile) =>
  Effect.map(check(profile), (errors): Checked => ({ file: profile.file, errors }))

const checkEntry = (entry: ProfileEntry) =>
  entry._tag === "Broken"
    ? Effect.succeed<Checked>({ file: entry.file, errors: [entry.error] })
    : checkProfile(entry.profile)

export const validate = Command.make(
  "validate",
  {
    files: Args.text({ name: "FILE" }).pipe(
      Args.withDescription("Files of profiles; all profiles that are found where none is named"),
      Args.repeated
    )
  },
  ({ files }) =>
    Effect.gen(function* () {
      const found = yield* Profiles
      const results =
        files.length === 0
          ? yield* Effect.flatMap(found.list, (entries) => Effect.forEach(entries, checkEntry))
          : yield* Effect.forEach(files, (file) =>
              found.read(file).pipe(
                Effect.flatMap(checkProfile),
                Effect.catchAll((error) => Effect.succeed({ file, errors: [error] }))
              )
            )
      let exitCode = 0
      for (const { errors, file } of results) {
        if (errors.length === 0) yield* Console.log(`${file}: valid`)
        for (const error of errors) {
          const ending = ofError(error)
          exitCode = Math.max(exitCode, ending.exitCode)
          yield* report(...ending.message)
        }
      }
      if (exitCode !== 0) return yield* new Ended({ exitCode })
    })
).pipe(Command.withDescription("Check profiles: what they say, and that what they name is there"))

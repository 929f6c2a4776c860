import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { NotFound, UsageError } from "../../domain/Errors.js"
import type { Profile } from "../../domain/Profile.js"
import { type ProfileEntry, Profiles } from "../../profiles/Profiles.js"
import { check } from "../../recipe/ProfileChecks.js"
import { Ended, ofError } from "../ExitCode.js"
import * as options from "../Options.js"
import { type Kind, printList, printOne, profiles } from "../Printer.js"
import { say, sayAll } from "../say.js"
import { explain } from "./explain.js"
import { init } from "./init.js"

const inFull: Kind<Profile> = {
  ...profiles,
  columns: [
    ...profiles.columns,
    ["file", ({ file }) => file],
    ["extension", ({ document }) => document.extension ?? "-"],
    ["inputs", ({ document }) => Object.keys(document.inputs ?? {}).join(", ") || "-"]
  ]
}

/** Says so where a profile stands in for others of its id: it may not be the one that is meant. */
export const warnOfShadows = ({ file, shadows }: Profile): Effect.Effect<void> =>
  shadows.length === 0 ? Effect.void : say(`warning: ${file} stands in for ${shadows.join(", ")}`)

const report = (entry: ProfileEntry): Effect.Effect<void> =>
  entry._tag === "Broken" ? sayAll(ofError(entry.error).message) : warnOfShadows(entry.profile)

const list = Command.make("list", { output: options.output }, ({ output }) =>
  Effect.gen(function* () {
    const entries = yield* Effect.flatMap(Profiles, (found) => found.list)
    yield* Effect.forEach(entries, report, { discard: true })
    yield* printList(
      output,
      profiles,
      entries.flatMap((entry) => (entry._tag === "Usable" ? [entry.profile] : []))
    )
  })
).pipe(Command.withDescription("List the profiles that there are"))

const show = Command.make(
  "show",
  { id: Args.text({ name: "PROFILE" }).pipe(Args.withDescription("A profile's id")), output: options.output },
  ({ id, output }) =>
    Effect.gen(function* () {
      const found = yield* Profiles
      const profile = yield* found.get(id)
      yield* warnOfShadows(profile)
      yield* printOne(output, inFull, profile)
    })
).pipe(Command.withDescription("Show a profile, with what it extends merged in, and where it is from"))

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

const validate = Command.make(
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
          yield* sayAll(ending.message)
        }
      }
      if (exitCode !== 0) return yield* new Ended({ exitCode })
    })
).pipe(Command.withDescription("Check profiles: what they say, and that what they name is there"))

export const profile = Command.make("profile").pipe(
  Command.withDescription("What sandboxes are created from"),
  Command.withSubcommands([list, show, explain, validate, init])
)

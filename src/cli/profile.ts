import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Profile, ProfileDocument } from "../domain/Profile.js"
import { type ProfileEntry, Profiles } from "../Profiles.js"
import { Ended, ofError } from "./exit.js"
import * as options from "./options.js"
import { type Kind, printList, printOne } from "./output.js"
import { say, sayAll } from "./say.js"

const profiles: Kind<Profile> = {
  kind: "Profile",
  document: ({ document, file, origin }) => ({
    ...Schema.encodeSync(ProfileDocument)(document),
    file,
    origin
  }),
  name: ({ document }) => document.id,
  columns: [
    ["id", ({ document }) => document.id],
    ["mode", ({ document }) => document.mode ?? "-"],
    ["from", ({ origin }) => origin],
    ["description", ({ document }) => document.description ?? ""]
  ]
}

const inFull: Kind<Profile> = {
  ...profiles,
  columns: [
    ...profiles.columns,
    ["file", ({ file }) => file],
    ["extension", ({ document }) => document.extension ?? "-"],
    ["inputs", ({ document }) => Object.keys(document.inputs ?? {}).join(", ") || "-"]
  ]
}

const report = (entry: ProfileEntry): Effect.Effect<void> =>
  entry._tag === "Broken"
    ? sayAll(ofError(entry.error).message)
    : entry.profile.origin !== "shipped" && entry.shadows.length > 0
      ? say(`warning: ${entry.profile.file} stands in for ${entry.shadows.join(", ")}`)
      : Effect.void

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
      yield* printOne(output, inFull, yield* found.get(id))
    })
).pipe(Command.withDescription("Show a profile, with what it extends merged in, and where it is from"))

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
          ? yield* Effect.map(found.list, (entries) =>
              entries.map((entry) =>
                entry._tag === "Broken"
                  ? { file: entry.file, error: Option.some(entry.error) }
                  : { file: entry.profile.file, error: Option.none() }
              )
            )
          : yield* Effect.forEach(files, (file) =>
              Effect.map(Effect.either(found.read(file)), (result) => ({
                file,
                error: result._tag === "Left" ? Option.some(result.left) : Option.none()
              }))
            )
      let exitCode = 0
      for (const { error, file } of results) {
        if (Option.isNone(error)) {
          yield* Console.log(`${file}: valid`)
          continue
        }
        const ending = ofError(error.value)
        exitCode = Math.max(exitCode, ending.exitCode)
        yield* sayAll(ending.message)
      }
      if (exitCode !== 0) return yield* new Ended({ exitCode })
    })
).pipe(Command.withDescription("Check profiles"))

export const profile = Command.make("profile").pipe(
  Command.withDescription("What sandboxes are created from"),
  Command.withSubcommands([list, show, validate])
)

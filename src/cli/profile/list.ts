import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Profile, ProfileDocument } from "../../domain/Profile.js"
import { type ProfileEntry, Profiles } from "../../profiles/Profiles.js"
import { ofError } from "../ExitCode.js"
import * as options from "../Options.js"
import { type Kind, printList, report } from "../Printer.js"

export const profiles: Kind<Profile> = {
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

/** Warns of a profile that is used instead of others with its id: it may not be the one that is meant. */
export const warnOfShadows = ({ file, shadows }: Profile): Effect.Effect<void> =>
  shadows.length === 0 ? Effect.void : report(`warning: ${file} stands in for ${shadows.join(", ")}`)

const warn = (entry: ProfileEntry): Effect.Effect<void> =>
  entry._tag === "Broken" ? report(...ofError(entry.error).message) : warnOfShadows(entry.profile)

export const list = Command.make("list", { output: options.output }, ({ output }) =>
  Effect.gen(function* () {
    const entries = yield* Effect.flatMap(Profiles, (found) => found.list)
    yield* Effect.forEach(entries, warn, { discard: true })
    yield* printList(
      output,
      profiles,
      entries.flatMap((entry) => (entry._tag === "Usable" ? [entry.profile] : []))
    )
  })
).pipe(Command.withDescription("List the profiles that there are"))

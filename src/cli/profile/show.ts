import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import type { Profile } from "../../domain/Profile.js"
import { Profiles } from "../../profiles/Profiles.js"
import * as options from "../Options.js"
import { type Kind, printOne } from "../Printer.js"
import { profiles, warnOfShadows } from "./list.js"

const profileInFull: Kind<Profile> = {
  ...profiles,
  columns: [
    ...profiles.columns,
    ["file", ({ file }) => file],
    ["extension", ({ document }) => document.extension ?? "-"],
    ["inputs", ({ document }) => Object.keys(document.inputs ?? {}).join(", ") || "-"]
  ]
}

export const show = Command.make(
  "show",
  { id: Args.text({ name: "PROFILE" }).pipe(Args.withDescription("A profile's id")), output: options.output },
  ({ id, output }) =>
    Effect.gen(function* () {
      const found = yield* Profiles
      const profile = yield* found.get(id)
      yield* warnOfShadows(profile)
      yield* printOne(output, profileInFull, profile)
    })
).pipe(Command.withDescription("Show a profile, with what it extends merged in, and where it is from"))

import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Conflict, UsageError } from "../../domain/Errors.js"
import { draft, draftName } from "../../profiles/ProfileDraft.js"
import { Profiles } from "../../profiles/Profiles.js"
import * as options from "../Options.js"
import { printOne } from "../Printer.js"
import { profiles } from "./list.js"

const exists = (file: string) =>
  new Conflict({ reason: "exists", message: `${file} exists already`, hint: "choose another name" })

/** Fails if there is a profile with this id. */
const refuseTaken = (id: string) =>
  Effect.gen(function* () {
    const found = (yield* Effect.flatMap(Profiles, ({ list }) => list)).find((entry) => entry.id === id)
    if (found === undefined) return
    const file = found._tag === "Broken" ? found.file : found.profile.file
    return yield* new Conflict({
      reason: "exists",
      message: `there is a ${id} already: ${file}`,
      hint: "choose another name"
    })
  })

export const init = Command.make(
  "init",
  {
    name: Args.text({ name: "NAME" }).pipe(
      Args.withDescription("What the profile is called, behind `profile.`"),
      Args.withDefault("my-image")
    ),
    output: options.output
  },
  ({ name: given, output }) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const name = given.replace(/^profile\./, "")
      if (!draftName.test(name)) {
        return yield* new UsageError({
          reason: "usage",
          message: `a profile cannot be called ${given}`,
          hint: "a name is of lower case letters, digits, dots and hyphens: my-image"
        })
      }
      yield* refuseTaken(`profile.${name}`)
      const file = path.join("profiles", `${name}.yaml`)
      yield* fs.makeDirectory(path.dirname(file), { recursive: true }).pipe(
        Effect.zipRight(fs.writeFileString(file, draft(name), { flag: "wx" })),
        Effect.catchTags({
          BadArgument: Effect.die,
          SystemError: (error) =>
            error.reason === "AlreadyExists"
              ? exists(file)
              : new UsageError({
                  reason: "usage",
                  message: `${file} cannot be written: ${error.message}`,
                  hint: "go to a folder that you may write to"
                })
        })
      )
      if (output === "table") return yield* Console.log(file)
      yield* printOne(output, profiles, yield* Effect.flatMap(Profiles, ({ read }) => read(file)))
    })
).pipe(Command.withDescription("Write a first profile into ./profiles, with comments"))

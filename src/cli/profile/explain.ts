import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { Profiles } from "../../profiles/Profiles.js"
import * as ProfileMode from "../../recipe/ProfileMode.js"
import * as options from "../Options.js"
import { inputs, printList } from "../Printer.js"

export const explain = Command.make(
  "explain",
  {
    id: Args.text({ name: "PROFILE" }).pipe(Args.withDescription("A profile's id")),
    mode: options.optional(options.text("mode", "The extension's mode, where it is not the profile's")),
    output: options.output
  },
  ({ id, mode, output }) =>
    Effect.gen(function* () {
      const profile = yield* Effect.flatMap(Profiles, ({ get }) => get(id))
      const found = yield* ProfileMode.find(profile, mode)
      const [problem] = found.problems
      if (problem !== undefined) return yield* problem
      yield* printList(output, inputs, ProfileMode.explain(profile, found))
    })
).pipe(Command.withDescription("Show every input that a profile takes, its default and where it is from"))

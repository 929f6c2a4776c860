import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { Profiles } from "../../profiles/Profiles.js"
import * as ProfileMode from "../../recipe/ProfileMode.js"
import * as options from "../Options.js"
import { type Kind, printList } from "../Printer.js"

const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value))

/** The choices and the pattern that the values of an input must match. */
const takes = ({ choices, pattern }: ProfileMode.ExplainedInput["declaration"]) =>
  [...(choices === undefined ? [] : [choices.join(" | ")]), ...(pattern === undefined ? [] : [pattern])].join(
    ", "
  )

const mustBeGiven = ({ default: fallback, required }: ProfileMode.ExplainedInput["declaration"]) =>
  required === true && fallback === undefined

const inputs: Kind<ProfileMode.ExplainedInput> = {
  kind: "Input",
  document: ({ declaration, from, name }) => ({
    name,
    type: declaration.type,
    items: declaration.items ?? null,
    required: mustBeGiven(declaration),
    default: declaration.default ?? null,
    env: declaration.env ?? null,
    pattern: declaration.pattern ?? null,
    choices: declaration.choices ?? null,
    variable: declaration.variable === true,
    description: declaration.description ?? null,
    from
  }),
  name: ({ name }) => name,
  columns: [
    ["name", ({ name }) => name],
    ["type", ({ declaration }) => declaration.type],
    ["required", ({ declaration }) => (mustBeGiven(declaration) ? "yes" : "no")],
    ["default", ({ declaration }) => (declaration.default === undefined ? "-" : text(declaration.default))],
    ["env", ({ declaration }) => declaration.env ?? "-"],
    ["takes", ({ declaration }) => takes(declaration) || "-"],
    ["from", ({ from }) => from.map(({ id }) => id).join(", ")],
    ["description", ({ declaration }) => declaration.description ?? ""]
  ]
}

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
      const found = yield* ProfileMode.find(profile, { mode })
      const [problem] = found.problems
      if (problem !== undefined) return yield* problem
      yield* printList(output, inputs, ProfileMode.explain(profile, found))
    })
).pipe(Command.withDescription("Show every input that a profile takes, its default and where it is from"))

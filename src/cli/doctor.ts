import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { type Check, Doctor } from "../Doctor.js"
import { Ended } from "./exit.js"
import * as options from "./options.js"
import { type Kind, printList } from "./output.js"
import { sayAll } from "./say.js"

const checks: Kind<Check> = {
  kind: "Check",
  document: ({ detail, hint, name, status }) => ({ name, status, detail, hint }),
  name: ({ name }) => name,
  columns: [
    ["status", ({ status }) => status],
    ["check", ({ name }) => name],
    ["detail", ({ detail, hint }) => (hint === null ? detail : `${detail}\n  hint: ${hint}`)]
  ]
}

export const doctor = Command.make("doctor", { output: options.output }, ({ output }) =>
  Effect.gen(function* () {
    const found = yield* Effect.flatMap(Doctor, ({ examine }) => examine)
    yield* printList(output, checks, found)
    const lacking = found.flatMap(({ name, status }) => (status === "missing" ? [name] : []))
    if (lacking.length === 0) return
    yield* sayAll([
      `error: builds need what is missing here: ${lacking.join(", ")}`,
      "hint: each check above says what to do about it"
    ])
    return yield* new Ended({ exitCode: 15 })
  })
).pipe(Command.withDescription("Check whether this machine has what builds need, and say what to do"))

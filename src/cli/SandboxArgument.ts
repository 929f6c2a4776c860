/** The argument that names a sandbox. */
import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import { Sandboxes } from "../sandboxes/Sandboxes.js"

export const reference = Args.text({ name: "ID" }).pipe(
  Args.withDescription("An id, a unique beginning of one, or a name")
)

export const find = (text: string) => Effect.flatMap(Sandboxes, (manager) => manager.find(text))

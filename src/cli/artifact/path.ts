import * as Command from "@effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { find, reference } from "./MadeArtifact.js"

export const path = Command.make("path", { id: reference }, ({ id }) =>
  Effect.flatMap(find(id), ({ artifact }) => Console.log(artifact.path))
).pipe(Command.withDescription("Print where an artifact is"))

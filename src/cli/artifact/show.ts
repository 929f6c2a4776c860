import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as options from "../Options.js"
import { type Kind, printOne } from "../Printer.js"
import { artifacts, find, type MadeArtifact, reference } from "./MadeArtifact.js"

const artifactInFull: Kind<MadeArtifact> = {
  ...artifacts,
  columns: [...artifacts.columns, ["sha256", ({ artifact }) => artifact.sha256]]
}

export const show = Command.make("show", { id: reference, output: options.output }, ({ id, output }) =>
  Effect.flatMap(find(id), (made) => printOne(output, artifactInFull, made))
).pipe(Command.withDescription("Show an artifact"))

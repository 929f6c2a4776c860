import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as options from "../Options.js"
import { printList } from "../Printer.js"
import { all, artifacts } from "./MadeArtifact.js"

export const list = Command.make("list", { output: options.output }, ({ output }) =>
  Effect.flatMap(all, (made) => printList(output, artifacts, made))
).pipe(Command.withDescription("List what sandboxes made"))

/** Packs the folder that it is given, with ext.archive: `node main.js FOLDER`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Extension, Sandboxes, vmPacker } from "sandboxer"
import { layer } from "sandboxer/node"
import { archive } from "./archive.js"

const program = Effect.gen(function* () {
  const sandboxes = yield* Sandboxes.Sandboxes
  const { id } = yield* sandboxes.create({
    profile: "profile.archive",
    inputs: { folder: process.argv[2] ?? "." },
    environment: process.env,
    workingDirectory: process.cwd()
  })
  const { artifacts, failure } = yield* sandboxes.wait(id)
  if (failure !== null) return yield* Effect.fail(failure)
  for (const { path, sha256 } of artifacts) yield* Console.log(`${sha256}  ${path}`)
})

NodeRuntime.runMain(
  Effect.provide(program, layer({ extensions: Extension.layerExtensions([vmPacker, archive]) }))
)

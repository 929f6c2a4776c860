/** Runs ext.archive on a host that is in memory, with a tar that is a function: no process is started. */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import { Extension, HostPath, Sandboxes } from "sandboxer"
import { layer } from "sandboxer/node"
import { HostMemory } from "sandboxer/testing"
import { archive } from "./archive.js"

/** Creates a sandbox with such a tar, and gives its record at the end of its provision. */
const provisioned = (tar: HostMemory.Program) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const home = yield* fs.makeTempDirectoryScoped()
    const host = yield* HostMemory.make({ program: tar })
    const provision = Effect.gen(function* () {
      const sandboxes = yield* Sandboxes.Sandboxes
      const { id } = yield* sandboxes.create({
        profile: "profile.archive",
        inputs: { folder: "profiles" },
        environment: {},
        workingDirectory: process.cwd()
      })
      return yield* sandboxes.wait(id)
    })
    const sandbox = yield* Effect.provide(
      provision,
      layer({
        settings: { overrides: { home } },
        hosts: HostMemory.layer(host),
        extensions: Extension.layerExtensions([archive])
      })
    )
    const contents = sandbox.artifacts.map(({ path }) => readFileSync(path, "utf8"))
    return { sandbox, commands: host.commands, contents }
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer), Effect.runPromise)

test("what tar makes is kept", async () => {
  const { commands, contents, sandbox } = await provisioned(({ args }, { host }) =>
    Effect.as(host.write(HostPath.HostPath(args[1] ?? ""), "packed"), 0)
  )
  assert.equal(sandbox.state, "ready")
  assert.deepEqual(contents, ["packed"])
  assert.deepEqual(
    commands.map(({ program }) => program),
    ["tar"]
  )
})

test("a tar that fails is a failure, with its last words", async () => {
  const { sandbox } = await provisioned((_, { print }) => Effect.as(print("no such folder\n"), 2))
  assert.equal(sandbox.failure?.reason, "build-failed")
  assert.deepEqual(sandbox.failure.logTail, ["no such folder"])
})

import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { HostPath, join } from "../../src/domain/HostPath.js"
import { Host } from "../../src/hosts/Host.js"
import * as PackerCommand from "../../src/packer/command/PackerCommand.js"
import { type BuildRequest, Packer } from "../../src/packer/Packer.js"
import { HostMemory } from "../../src/testing.js"
import { platform } from "../support/inMemory.js"

/** The command line of a build. */
const words = (request: Partial<BuildRequest>) =>
  Effect.gen(function* () {
    const host = yield* HostMemory.make()
    const folder = join(host.home, "template")
    const job = { key: "build", folder: join(host.home, "build") }
    yield* host.makeFolder(folder)
    yield* host.makeFolder(job.folder)
    const packer = yield* Effect.provide(
      Packer,
      Layer.provide(PackerCommand.layer, Layer.succeed(Host, host))
    )
    yield* Stream.runDrain(
      packer.build(job, {
        path: join(folder, "demo.json"),
        folder,
        variableFiles: [],
        only: [],
        except: [],
        force: false,
        onError: "cleanup",
        builds: ["qemu"],
        ...request
      })
    )
    const [command] = host.commands
    return { program: command?.program, cwd: command?.cwd, args: command?.args }
  }).pipe(Effect.provide(platform))

const template = "/elsewhere/home/template/demo.json"

describe("packer build", () => {
  it.scoped("runs in the template's folder, and cleans up on errors", () =>
    Effect.gen(function* () {
      expect(yield* words({})).toEqual({
        program: "packer",
        cwd: "/elsewhere/home/template",
        args: ["build", "-machine-readable", template]
      })
    })
  )

  it.scoped("has an argument for each part of the request", () =>
    Effect.gen(function* () {
      const { args } = yield* words({
        force: true,
        onError: "abort",
        variableFiles: [HostPath("/a.json"), HostPath("/b.json")],
        only: ["a", "b"],
        except: ["c"]
      })
      expect(args).toEqual([
        "build",
        "-machine-readable",
        "-force",
        "-on-error=abort",
        "-var-file=/a.json",
        "-var-file=/b.json",
        "-only=a,b",
        "-except=c",
        template
      ])
    })
  )
})

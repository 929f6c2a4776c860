import { createHash } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { verify } from "../../src/artifacts/Verification.js"
import { type Artifact, ArtifactId } from "../../src/domain/Artifact.js"
import { HostError } from "../../src/hosts/Host.js"
import { HostMemory } from "../../src/testing.js"
import { platform, temporaryFolder } from "../support/inMemory.js"

const content = "an image"
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

const programMissing = new HostError({
  reason: "program-missing",
  host: "elsewhere",
  message: "there is no such program",
  hint: "install it"
})

interface Options {
  readonly fields?: Partial<Artifact>
  readonly program?: HostMemory.Program
  /** The content of the file now; `null` if it was removed. */
  readonly now?: string | null
}

/** Verifies an artifact that was built with `content`. */
const verified = ({ fields, now = content, program }: Options = {}) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* temporaryFolder}/demo.raw`
    if (now !== null) yield* fs.writeFileString(path, now)
    const host = yield* HostMemory.make(program === undefined ? {} : { program })
    const artifact: Artifact = {
      id: ArtifactId.make("0123456789ab"),
      name: "demo.raw",
      path,
      format: "raw",
      sizeBytes: content.length,
      sha256: sha256(content),
      primary: true,
      ...fields
    }
    const verification = yield* Effect.provide(verify(artifact), HostMemory.layer(host))
    return {
      ...verification,
      path,
      commands: host.commands.map(({ args, program: name }) => [name, ...args])
    }
  }).pipe(Effect.provide(platform))

describe("verify", () => {
  it.scoped("accepts an unchanged file", () =>
    Effect.gen(function* () {
      expect(yield* verified()).toMatchObject({
        status: "ok",
        checked: ["size", "sha256"],
        problem: null,
        commands: []
      })
    })
  )

  it.scoped("reports a changed digest or size", () =>
    Effect.gen(function* () {
      expect(yield* verified({ now: "an imagE" })).toMatchObject({
        status: "damaged",
        checked: ["size", "sha256"],
        problem: `its SHA-256 is ${sha256("an imagE")} instead of ${sha256(content)}`
      })
      expect(yield* verified({ now: "an ima" })).toMatchObject({
        status: "damaged",
        checked: ["size"],
        problem: "it has 6 bytes instead of 8"
      })
    })
  )

  it.scoped("reports a missing file", () =>
    Effect.gen(function* () {
      const { path, ...found } = yield* verified({ now: null })
      expect(found).toMatchObject({ status: "missing", checked: [], problem: `there is no ${path}` })
    })
  )

  it.scoped.each([
    ["qcow2", 0, "ok", null],
    // Leaked clusters hold no data of the guest.
    ["qcow2", 3, "ok", null],
    ["qcow2", 2, "damaged", "qemu-img reports that it is corrupt: ERROR"],
    ["qcow2", 1, "damaged", "qemu-img cannot read it: ERROR"],
    ["vmdk", 0, "ok", null],
    ["vmdk", 2, "damaged", "qemu-img reports that it is corrupt: ERROR"]
  ] as const)("checks a %s with qemu-img, exit code %s", ([format, exitCode, status, problem]) =>
    Effect.gen(function* () {
      const found = yield* verified({
        fields: { format },
        program: (_, { print }) => Effect.as(print("ERROR\nmore\n"), exitCode)
      })
      expect(found).toMatchObject({ status, checked: ["size", "sha256", "qemu-img"], problem })
      expect(found.commands).toHaveLength(1)
      expect(found.commands[0]?.slice(0, 5)).toEqual(["qemu-img", "check", "-U", "-f", format])
    })
  )

  it.scoped.each([
    // qemu-img cannot check the format; the file is one part of an image; qemu-img is missing.
    ["qcow2", () => Effect.succeed(63)],
    ["vmdk", () => Effect.succeed(1)],
    ["qcow2", () => programMissing],
    ["ova", () => programMissing]
  ] as const)("skips checks of a %s that cannot run", ([format, program]) =>
    Effect.gen(function* () {
      expect(yield* verified({ fields: { format }, program })).toMatchObject({
        status: "ok",
        checked: ["size", "sha256"]
      })
    })
  )

  it.scoped("stops at the first problem", () =>
    Effect.gen(function* () {
      const { commands, status } = yield* verified({ fields: { format: "qcow2" }, now: "an imagE" })
      expect({ commands, status }).toEqual({ commands: [], status: "damaged" })
    })
  )
})

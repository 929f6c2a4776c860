import { createHash, randomBytes } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { sha256 } from "../../src/internal/Digest.js"

let file: string
beforeEach(() => {
  file = join(mkdtempSync(join(tmpdir(), "sandboxer-digest-")), "file")
})
afterEach(() => rmSync(join(file, ".."), { recursive: true, force: true }))

const digest = (path: string) => Effect.provide(sha256(path), NodeFileSystem.layer)

describe("the digest of a file", () => {
  it.effect("is its SHA-256", () =>
    Effect.gen(function* () {
      writeFileSync(file, "abc")
      expect(yield* digest(file)).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
      writeFileSync(file, "")
      expect(yield* digest(file)).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    })
  )

  it.effect("covers all pieces of a large file", () =>
    Effect.gen(function* () {
      const bytes = randomBytes(3 * 1024 * 1024 + 17)
      writeFileSync(file, bytes)
      expect(yield* digest(file)).toBe(createHash("sha256").update(bytes).digest("hex"))
    })
  )

  it.effect("fails without the file", () =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(digest(`${file}.nowhere`))).toMatchObject({ reason: "NotFound" })
    })
  )
})

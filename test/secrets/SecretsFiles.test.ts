import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { SandboxId } from "../../src/domain/Sandbox.js"
import * as Files from "../../src/secrets/files/SecretsFiles.js"
import { Secrets } from "../../src/secrets/Secrets.js"
import { layerHome } from "../../src/settings/Settings.js"

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sandboxer-secrets-"))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const [one, other] = [SandboxId.make("00000000000a"), SandboxId.make("00000000000b")]
const file = () => join(home, "jobs", one, "secrets.json")

const test =
  (
    use: (secrets: Context.Tag.Service<Secrets>) => Effect.Effect<void, unknown>,
    files: Layer.Layer<FileSystem.FileSystem> = NodeFileSystem.layer
  ) =>
  () =>
    Effect.flatMap(Secrets, use).pipe(
      Effect.provide(
        Files.layer.pipe(
          Layer.provide(Layer.suspend(() => layerHome(home))),
          Layer.provide(Layer.merge(files, NodePath.layer))
        )
      )
    )

/** A disk that becomes full while a file is written. */
const full = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(
    FileSystem.FileSystem,
    (fs): FileSystem.FileSystem => ({
      ...fs,
      writeFileString: (path, text, options) =>
        Effect.zipRight(
          fs.writeFileString(path, text.slice(0, 20), options),
          new PlatformError.SystemError({
            reason: "Unknown",
            module: "FileSystem",
            method: "writeFile",
            pathOrDescriptor: path,
            description: "ENOSPC: no space left on device, write"
          })
        )
    })
  )
).pipe(Layer.provide(NodeFileSystem.layer))

const shown = (values: Readonly<Record<string, Redacted.Redacted>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Redacted.value(value)]))

describe("secrets", () => {
  it.effect(
    "leave no partial file on a full disk",
    test(
      (secrets) =>
        Effect.gen(function* () {
          const { reason } = yield* Effect.flip(secrets.put(one, 1, { password: Redacted.make("hunter2") }))
          expect(reason).toBe("not-writable")
          expect(readdirSync(join(home, "jobs"))).toEqual([])
        }),
      full
    )
  )

  it.effect(
    "are returned unchanged, for their sandbox only",
    test((secrets) =>
      Effect.gen(function* () {
        const values = { password: "hunter2", key: '-----BEGIN\n"ü\\😀"\n', toString: " " }
        yield* secrets.put(one, 1, {
          password: Redacted.make(values.password),
          key: Redacted.make(values.key),
          toString: Redacted.make(values.toString)
        })
        expect(shown(yield* secrets.get(one, 1))).toEqual(values)
        expect(yield* secrets.get(other, 1)).toEqual({})
      })
    )
  )

  it.effect(
    "are readable by their owner only",
    test((secrets) =>
      Effect.gen(function* () {
        yield* secrets.put(one, 1, { password: Redacted.make("hunter2") })
        expect(statSync(file()).mode & 0o777).toBe(0o600)
        expect(statSync(join(home, "jobs", one)).mode & 0o777).toBe(0o700)
      })
    )
  )

  it.effect(
    "can be removed, also if there are none",
    test((secrets) =>
      Effect.gen(function* () {
        yield* secrets.put(one, 1, { password: Redacted.make("hunter2") })
        yield* secrets.forget(one, 1)
        expect(existsSync(file())).toBe(false)
        expect(yield* secrets.get(one, 1)).toEqual({})
        yield* secrets.forget(one, 1)
        yield* secrets.forget(other, 1)
      })
    )
  )

  it.effect(
    "are removed with their folder, unless it contains other files",
    test((secrets) =>
      Effect.gen(function* () {
        yield* secrets.put(one, 1, { password: Redacted.make("hunter2") })
        yield* secrets.put(other, 1, { password: Redacted.make("hunter2") })
        writeFileSync(join(home, "jobs", other, "file"), "x")
        yield* secrets.forget(one, 1)
        yield* secrets.forget(other, 1)
        expect(readdirSync(join(home, "jobs"))).toEqual([other])
        expect(readdirSync(join(home, "jobs", other))).toEqual(["file"])
      })
    )
  )

  it.effect(
    "belong to the attempts up to the next request; removing them keeps those of a later request",
    test((secrets) =>
      Effect.gen(function* () {
        const passwordOf = (attempt: number) =>
          Effect.map(secrets.get(one, attempt), (values) => shown(values).password)
        yield* secrets.put(one, 1, { password: Redacted.make("first") })
        expect(yield* passwordOf(2)).toBe("first")
        yield* secrets.put(one, 3, { password: Redacted.make("third") })
        expect(yield* passwordOf(2)).toBe("first")
        expect(yield* passwordOf(4)).toBe("third")
        yield* secrets.forget(one, 2)
        expect(yield* passwordOf(2)).toBeUndefined()
        expect(yield* passwordOf(3)).toBe("third")
        yield* secrets.forget(one, 4)
        expect(readdirSync(join(home, "jobs"))).toEqual([])
      })
    )
  )

  it.effect(
    "create no file if there are none",
    test((secrets) =>
      Effect.gen(function* () {
        yield* secrets.put(one, 1, {})
        expect(existsSync(join(home, "jobs"))).toBe(false)
      })
    )
  )

  it.effect(
    "that cannot be read do not appear in the error",
    test((secrets) =>
      Effect.gen(function* () {
        mkdirSync(join(home, "jobs", one), { recursive: true })
        for (const text of ["hunter2", '{"password": "hunter2"', '{"password": ["hunter2"]}']) {
          writeFileSync(file(), text)
          const error = yield* Effect.flip(secrets.get(one, 1))
          expect(error).toMatchObject({
            reason: "damaged",
            message: `secrets cannot be read from ${file()}`
          })
          expect(JSON.stringify(error)).not.toContain("hunter2")
        }
      })
    )
  )

  it.effect(
    "that cannot be written are an error",
    test((secrets) =>
      Effect.gen(function* () {
        writeFileSync(join(home, "jobs"), "")
        const error = yield* Effect.flip(secrets.put(one, 1, { password: Redacted.make("hunter2") }))
        expect(error).toMatchObject({ _tag: "StoreError", reason: "not-writable" })
        expect(readFileSync(join(home, "jobs"), "utf8")).toBe("")
      })
    )
  )
})

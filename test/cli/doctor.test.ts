import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { parse } from "yaml"
import { run } from "../../src/cli/main.js"
import { Doctor } from "../../src/doctor/Doctor.js"
import { type Check, missing, ok, warning } from "../../src/domain/Check.js"
import { Hosts } from "../../src/hosts/Host.js"
import { Profiles } from "../../src/profiles/Profiles.js"
import { layerExtensions } from "../../src/recipe/Extension.js"
import { layerHome } from "../../src/settings/Settings.js"

afterEach(() => void vi.restoreAllMocks())

const fine = [ok("packer", "1.6.6"), warning("kvm", "there is no /dev/kvm", "enable it")]
const lacking = [
  ...fine,
  missing("qemu-img", "not found", "install it"),
  missing("sh", "not found", "mend it")
]

/** `sandboxer doctor WORDS` where these are the checks; the store is not opened. */
const doctor = (checks: ReadonlyArray<Check>, ...words: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const [out, err]: [Array<string>, Array<string>] = [[], []]
    vi.spyOn(globalThis.console, "log").mockImplementation((text: unknown) => void out.push(`${text}\n`))
    vi.spyOn(process.stderr, "write").mockImplementation((text) => err.push(String(text)) > 0)
    const exitCode = yield* run(["doctor", ...words], {
      settled: () =>
        Layer.mergeAll(
          Layer.succeed(Doctor, { examine: Effect.succeed(checks) }),
          Layer.mock(Profiles, {}),
          Layer.mock(Hosts, {}),
          layerExtensions([]),
          layerHome("/home")
        ),
      full: () => Layer.die("the store was opened")
    }).pipe(Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer)))
    return { exitCode, out: out.join(""), err: err.join("") }
  })

describe("doctor", () => {
  it.effect("prints one line for each check with a hint if it is not ok; warnings exit with 0", () =>
    Effect.gen(function* () {
      expect(yield* doctor(fine)).toEqual({
        exitCode: 0,
        out: [
          "STATUS   CHECK   DETAIL",
          "ok       packer  1.6.6",
          "warning  kvm     there is no /dev/kvm",
          "  hint: enable it",
          ""
        ].join("\n"),
        err: ""
      })
    })
  )

  it.effect("exits with 15 if something is missing, after printing all checks", () =>
    Effect.gen(function* () {
      const { err, exitCode, out } = yield* doctor(lacking)
      expect(exitCode).toBe(15)
      expect(out.split("\n").filter((line) => line.startsWith("missing"))).toHaveLength(2)
      expect(err).toMatch(/^error: .*: qemu-img, sh\nhint: .*\n$/)
    })
  )

  it.effect("prints the same as documents", () =>
    Effect.gen(function* () {
      const list = { apiVersion: "sandboxer/v1", kind: "CheckList", items: lacking }
      for (const words of [["-o", "json"], ["--json"]]) {
        const json = yield* doctor(lacking, ...words)
        expect(JSON.parse(json.out)).toEqual(list)
        expect(json.exitCode).toBe(15)
      }
      expect(parse((yield* doctor(lacking, "-o", "yaml")).out)).toEqual(list)
      const lines = (yield* doctor(fine, "-o", "ndjson")).out.trim().split("\n")
      expect(lines.map((line) => JSON.parse(line))).toEqual(
        fine.map((check) => ({ apiVersion: "sandboxer/v1", kind: "Check", ...check }))
      )
      expect((yield* doctor(fine, "-q")).out).toBe("packer\nkvm\n")
    })
  )
})

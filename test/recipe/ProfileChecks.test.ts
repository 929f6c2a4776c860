import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vmPacker } from "../../src/extensions/vm-packer/index.js"
import { draft, draftName } from "../../src/profiles/ProfileDraft.js"
import { layerExtensions } from "../../src/recipe/Extension.js"
import { check } from "../../src/recipe/ProfileChecks.js"
import { platform } from "../support/inMemory.js"
import { extensions, profilesIn } from "../support/profiles.js"

/** What is wrong with profile.test, as FILE:LINE:COL: MESSAGE. */
const problems = (text: string, files: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const { folder, get } = yield* profilesIn({ "test.yaml": text, ...files })
    const found = yield* Effect.provide(check(yield* get("test")), extensions)
    return found.map(({ location, message }) =>
      `${location?.file}:${location?.line}:${location?.column}: ${message}`.replaceAll(folder, "")
    )
  }).pipe(Effect.provide(platform))

const head = "id: profile.test\nextension: ext.test\ninputs:\n"

describe("checking a profile", () => {
  it.scoped("finds nothing wrong with a valid profile", () =>
    Effect.gen(function* () {
      const text = `${head}  vm_name: { default: demo }
  template: { default: ./sub/template.json }
  files: { default: [a.hcl, ./sub] }
  size: { default: 2 GiB }
  output: { default: ./not-yet }
  password: { default: "env:PASSWORD" }
prepare:
  command: [./make.sh]
  inputs: [make.sh, sub]
  produces: base
  variable: base
`
      expect(yield* problems(text, { "sub/template.json": "{}", "a.hcl": "", "make.sh": "" })).toEqual([])
      expect(yield* problems("id: profile.test\n")).toEqual([])
    })
  )

  it.scoped("reports an extension, a mode and an input that do not exist", () =>
    Effect.gen(function* () {
      expect(yield* problems("id: profile.test\nextension: ext.other\n")).toEqual([
        "/test.yaml:2:1: no extension ext.other"
      ])
      expect(yield* problems("id: profile.test\nextension: ext.test\nmode: none\n")).toEqual([
        "/test.yaml:3:1: ext.test has no mode none"
      ])
      expect(yield* problems(`${head}  nothing: { default: 1 }\n  size: { type: map }\n`)).toEqual([
        "/test.yaml:4:3: ext.test has no input nothing",
        "/test.yaml:5:11: input size is a size, not a map"
      ])
    })
  )

  it.scoped("reports every default that its own input would reject", () =>
    Effect.gen(function* () {
      const text = `${head}  vm_name: { default: Demo }
  size: { default: 3 GiB }
  password: { default: correct-horse }
  cpus: { type: integer, variable: true, default: many }
  kind: { type: string, variable: true, choices: [a, b], default: c }
`
      const found = yield* problems(text)
      expect(found).toEqual([
        '/test.yaml:4:14: input vm_name: got "Demo" (its default)',
        "/test.yaml:5:11: input size: got 3221225472 (its default)",
        "/test.yaml:6:15: input password is a secret and cannot be given as it is (its default)",
        '/test.yaml:7:42: input cpus: got "many" (its default)',
        '/test.yaml:8:58: input kind: got "c" (its default)'
      ])
    })
  )

  it.scoped("reports files that the profile names and that do not exist, relative to its file", () =>
    Effect.gen(function* () {
      const text = `${head}  template: { default: ./template.json }
  files: { default: [a.hcl, b.hcl] }
prepare: { command: [./make.sh], inputs: [make.sh, init], produces: base, variable: base }
`
      expect(yield* problems(text, { "a.hcl": "", "make.sh": "" })).toEqual([
        "/test.yaml:4:15: input template: /template.json does not exist",
        "/test.yaml:5:12: input files: /b.hcl does not exist",
        "/test.yaml:6:34: prepare: /init does not exist"
      ])
      // A path is relative to the file that it was written in.
      const extending = "id: profile.test\nextends: profile.base\nprepare: { command: [./make.sh] }\n"
      const below = { "base/profile.yaml": text.replace("profile.test", "profile.base") }
      expect(
        yield* problems(extending, { ...below, "base/template.json": "", "base/a.hcl": "", "base/b.hcl": "" })
      ).toEqual([
        "/base/profile.yaml:6:34: prepare: /base/make.sh does not exist",
        "/base/profile.yaml:6:34: prepare: /base/init does not exist"
      ])
    })
  )
})

describe("a profile draft", () => {
  it.scoped.each(["my-image", "123", "1.10", "a.b-c", "x".repeat(64)])("is a valid profile: %s", (name) =>
    Effect.gen(function* () {
      expect(draftName.test(name)).toBe(true)
      const { get } = yield* profilesIn({
        "base.yaml": "id: profile.base\nttl: 1 hour\n",
        "draft.yaml": draft(name)
      })
      const profile = yield* get(name)
      expect(profile.document).toMatchObject({ id: `profile.${name}`, extension: "ext.vm-packer" })
      expect(profile.document.inputs).toEqual({ vm_name: { default: name } })
      const found = Effect.provide(check(profile), layerExtensions([vmPacker]))
      expect(yield* found).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is still valid with every commented line enabled", () =>
    Effect.gen(function* () {
      const everything = draft("all")
        .split("\n")
        .map((line) =>
          line.replace(
            /^( *)# (?=(ttl|timeout|stall|packer_template|format|cpus|password|prepare| {2}\w+):)/,
            "$1"
          )
        )
        .join("\n")
      const { get } = yield* profilesIn({
        "base.yaml": "id: profile.base\nttl: 1 hour\n",
        "all.yaml": everything,
        "all.pkr.hcl": "",
        "make-base.sh": ""
      })
      const profile = yield* get("all")
      expect(Object.keys(profile.document.inputs ?? {})).toEqual([
        "packer_template",
        "vm_name",
        "format",
        "cpus",
        "password"
      ])
      expect(profile.document).toMatchObject({ timeout: 28800, prepare: { produces: "base.qcow2" } })
      expect(yield* Effect.provide(check(profile), layerExtensions([vmPacker]))).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it("accepts only names that suit a profile and a machine", () => {
    for (const name of ["", "A", "-a", ".a", "a b", "a/b", "ä", "x".repeat(65)]) {
      expect(draftName.test(name), name).toBe(false)
    }
  })
})

import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ProfileMode from "../../src/recipe/ProfileMode.js"
import { extensions, profilesIn } from "../support/profiles.js"

const base = `id: profile.base
extension: ext.test
inputs:
  vm_name: { pattern: "[a-z]{3}" }
  cpus: { type: integer, default: 2, variable: true, env: CPUS, description: Virtual CPUs }
`
const child = `id: profile.child
extends: profile.base
inputs:
  vm_name: { default: abc }
  cpus: { default: 4 }
`

const find = (text: string, mode?: string) =>
  Effect.gen(function* () {
    const { folder, get } = yield* profilesIn({ "base.yaml": base, "child.yaml": text })
    const profile = yield* get("child")
    const found = yield* Effect.either(Effect.provide(ProfileMode.find(profile, { mode }), extensions))
    return { folder, profile, found }
  })

const refused = (text: string, mode?: string) =>
  Effect.map(find(text, mode), ({ folder, found }) => {
    if (found._tag === "Right") throw new Error("it was taken")
    const { hint, location, message, reason } = found.left
    const at = location && `${location.file.replace(folder, "")}:${location.line}:${location.column}`
    return { reason, message, hint, at }
  })

const accepted = (text: string, mode?: string) =>
  Effect.map(find(text, mode), ({ folder, found, profile }) => {
    if (found._tag === "Left") throw found.left
    return { folder, profile, ...found.right }
  })

describe("the mode of a profile", () => {
  it.scoped("is the requested one, else the profile's, else the extension's first", () =>
    Effect.gen(function* () {
      expect((yield* accepted(child)).name).toBe("make")
      const other = "id: profile.child\nextension: ext.test\nmode: other\n"
      expect((yield* accepted(other)).name).toBe("other")
      expect(Object.keys((yield* accepted(other)).inputs)).toEqual(["host"])
      expect((yield* accepted(other, "make")).name).toBe("make")
    })
  )

  it.scoped("that does not exist is reported", () =>
    Effect.gen(function* () {
      expect(yield* refused("id: profile.child\n")).toEqual({
        reason: "profile",
        message: "profile.child names no extension: other profiles extend it",
        hint: "`sandboxer profile list` shows the profiles that you can use",
        at: undefined
      })
      expect(yield* refused("id: profile.child\nextension: ext.tset\n")).toEqual({
        reason: "profile",
        message: "no extension ext.tset",
        hint: "did you mean ext.test?",
        at: "/child.yaml:2:1"
      })
      expect(yield* refused("id: profile.child\nextends: profile.base\nmode: mkae\n")).toEqual({
        reason: "profile",
        message: "ext.test has no mode mkae",
        hint: "did you mean make?",
        at: "/child.yaml:3:1"
      })
      // Of what was asked for no document is to blame.
      expect(yield* refused(child, "toString")).toEqual({
        reason: "usage",
        message: "ext.test has no mode toString",
        hint: "its modes are: make, other",
        at: undefined
      })
    })
  )

  it.scoped("has the extension's inputs as the profile narrows them, and the profile's own", () =>
    Effect.gen(function* () {
      const { inputs, problems } = yield* accepted(child)
      expect(problems).toEqual([])
      expect(inputs.vm_name).toEqual({
        type: "string",
        required: true,
        pattern: "[a-z]{3}",
        description: "The name",
        default: "abc"
      })
      expect(inputs.cpus).toMatchObject({ type: "integer", default: 4, env: "CPUS", variable: true })
      expect(Object.keys(inputs)).toEqual([
        "vm_name",
        "template",
        "files",
        "size",
        "output",
        "password",
        "cpus"
      ])
    })
  )

  it.scoped("reports every mistake in the profile's inputs, with its place", () =>
    Effect.gen(function* () {
      const { folder, problems } = yield* accepted(`id: profile.child
extends: profile.base
inputs:
  size: { type: integer }
  vm_nmae: { default: x }
  memory:
    variable: true
`)
      expect(
        problems.map(({ hint, location, message }) => [
          `${location?.file.replace(folder, "")}:${location?.line}:${location?.column}`,
          message,
          hint
        ])
      ).toEqual([
        ["/child.yaml:4:11", "input size is a size, not a integer", "remove its `type`"],
        ["/child.yaml:5:3", "ext.test has no input vm_nmae", "did you mean vm_name?"],
        ["/child.yaml:6:3", "input memory has no type", "add its type, such as `type: string`"]
      ])
    })
  )

  it.scoped("explains the sources of each input, the most general first", () =>
    Effect.gen(function* () {
      const found = yield* accepted(child)
      const explained = ProfileMode.explain(found.profile, found)
      const from = (name: string) =>
        explained
          .find((input) => input.name === name)
          ?.from.map(({ file, id }) => `${id} ${file?.replace(found.folder, "")}`)
      expect(from("vm_name")).toEqual([
        "ext.test undefined",
        "profile.base /base.yaml",
        "profile.child /child.yaml"
      ])
      expect(from("size")).toEqual(["ext.test undefined"])
      expect(from("cpus")).toEqual(["profile.base /base.yaml", "profile.child /child.yaml"])
      expect(explained.find(({ name }) => name === "cpus")?.declaration.default).toBe(4)
    })
  )
})

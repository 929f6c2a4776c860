import { writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { parse } from "yaml"
import { PackerScripted } from "../../src/testing.js"
import { commandLine, refusal } from "./commandLine.js"

const begun = Effect.map(commandLine(PackerScripted.building({})), (made) => ({
  ...made,
  profile: (name: string, text: string) => writeFileSync(`${made.folder}/profiles/${name}.yaml`, text)
}))

const narrowed = `id: profile.mine
extends: profile.demo
inputs:
  vm_name: { pattern: "[a-z]+" }
  cpus: { type: integer, default: 2, variable: true, env: BUILD_CPUS, choices: ["1", "2"], description: "Virtual\\nCPUs" }
  password: { type: secret, required: true, variable: true }
`

interface Item {
  readonly name: string
}

describe("profile explain", () => {
  it.scoped("prints every input with its type and its sources", () =>
    Effect.gen(function* () {
      const { folder, profile, sandboxer } = yield* begun
      profile("mine", narrowed)
      const json = yield* sandboxer("profile", "explain", "mine", "-o", "json")
      const list = JSON.parse(json.stdout) as { readonly items: ReadonlyArray<Item> }
      expect(list).toMatchObject({ apiVersion: "sandboxer/v1", kind: "InputList" })
      const item = (name: string) => list.items.find((input) => input.name === name)
      const demo = { id: "profile.demo", file: `${folder}/profiles/demo.yaml` }
      const mine = { id: "profile.mine", file: `${folder}/profiles/mine.yaml` }
      const extension = { id: "ext.vm-packer", file: null }
      expect(item("vm_name")).toEqual({
        name: "vm_name",
        type: "string",
        items: null,
        required: false,
        default: "demo",
        env: null,
        pattern: "[a-z]+",
        choices: null,
        variable: false,
        description: "Name of the virtual machine, and of its image",
        from: [extension, demo, mine]
      })
      expect(item("cpus")).toEqual({
        name: "cpus",
        type: "integer",
        items: null,
        required: false,
        default: 2,
        env: "BUILD_CPUS",
        pattern: null,
        choices: ["1", "2"],
        variable: true,
        description: "Virtual\nCPUs",
        from: [mine]
      })
      expect(item("password")).toMatchObject({ type: "secret", required: true, default: null })
      expect(item("packer_template")).toMatchObject({ required: false, from: [extension, demo] })
      expect(item("force")).toMatchObject({ default: false, from: [extension] })

      const yaml = yield* sandboxer("profile", "explain", "mine", "-o", "yaml")
      expect(parse(yaml.stdout)).toEqual(list)
      const lines = (yield* sandboxer("profile", "explain", "mine", "-o", "ndjson")).stdout.trim().split("\n")
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
        list.items.map((input) => ({ apiVersion: "sandboxer/v1", kind: "Input", ...input }))
      )
      const names = yield* sandboxer("profile", "explain", "mine", "-q")
      expect(names.stdout.trim().split("\n")).toEqual(list.items.map(({ name }) => name))
      const table = (yield* sandboxer("profile", "explain", "mine")).stdout.split("\n")
      expect(table[0]).toMatch(/^NAME +TYPE +REQUIRED +DEFAULT +ENV +TAKES +FROM +DESCRIPTION$/)
      expect(table.find((line) => line.startsWith("cpus"))).toMatch(
        /^cpus +integer +no +2 +BUILD_CPUS +1 \| 2 +profile\.mine +Virtual/
      )
    })
  )

  it.scoped("reports why a profile cannot be explained", () =>
    Effect.gen(function* () {
      const { folder, profile, sandboxer } = yield* begun
      profile("mine", "id: profile.mine\nextends: profile.demo\ninputs:\n  vm_nmae: { default: x }\n")
      expect(refusal(yield* sandboxer("profile", "explain", "mine"))).toEqual({
        exitCode: 2,
        stdout: "",
        stderr: [
          `error: ${folder}/profiles/mine.yaml:4:3: ext.vm-packer has no input vm_nmae`,
          "hint: did you mean vm_name?",
          ""
        ]
      })
      expect(yield* sandboxer("profile", "explain", "base")).toMatchObject({ exitCode: 2 })
      expect(yield* sandboxer("profile", "explain", "nothing")).toMatchObject({ exitCode: 3 })
      expect(yield* sandboxer("profile", "explain", "demo", "--mode", "biuld")).toMatchObject({
        exitCode: 2,
        stderr: "error: ext.vm-packer has no mode biuld\nhint: did you mean build?\n"
      })
    })
  )
})

describe("profile validate", () => {
  it.scoped("reports every mistake in every profile and exits with 2", () =>
    Effect.gen(function* () {
      const { folder, profile, sandboxer } = yield* begun
      const file = (name: string) => `${folder}/profiles/${name}.yaml`
      expect(yield* sandboxer("profile", "validate")).toEqual({
        exitCode: 0,
        stdout: `${file("base")}: valid\n${file("demo")}: valid\n`,
        stderr: ""
      })
      profile("broken", "id: profile.broken\nextends: profile.demo\ninputs:\n  vm_name: { pattern: '[' }\n")
      profile(
        "mine",
        `id: profile.mine
extends: profile.demo
inputs:
  packer_template: { default: ./none.json }
  format: { default: floppy }
  memory: { type: integer }
`
      )
      const found = yield* sandboxer("profile", "validate")
      expect(found).toMatchObject({ exitCode: 2, stdout: `${file("base")}: valid\n${file("demo")}: valid\n` })
      expect(found.stderr.split("\n").filter((line) => line.startsWith("error:"))).toEqual([
        `error: ${file("broken")}:4:14: inputs.vm_name.pattern: it is no regular expression`,
        `error: ${file("mine")}:6:3: ext.vm-packer has no input memory`,
        `error: ${file("mine")}:4:22: input packer_template: ${folder}/profiles/none.json does not exist`,
        `error: ${file("mine")}:5:13: input format: got "floppy" (its default)`
      ])
      expect(yield* sandboxer("profile", "validate", file("demo"))).toMatchObject({ exitCode: 0 })
      expect(yield* sandboxer("profile", "validate", file("demo"), file("mine"))).toMatchObject({
        exitCode: 2,
        stdout: `${file("demo")}: valid\n`
      })
      expect(yield* sandboxer("profile", "validate", `${folder}/none.yaml`)).toMatchObject({ exitCode: 3 })
    })
  )
})

describe("extension", () => {
  it.scoped("lists the extensions, and shows one with its modes and inputs", () =>
    Effect.gen(function* () {
      const { sandboxer } = yield* begun
      const list = yield* sandboxer("extension", "list", "-o", "json")
      expect(JSON.parse(list.stdout)).toMatchObject({
        kind: "ExtensionList",
        items: [{ id: "ext.vm-packer" }]
      })
      for (const name of ["ext.vm-packer", "vm-packer"]) {
        const { stdout } = yield* sandboxer("extension", "show", name, "-o", "json")
        const { kind, modes } = JSON.parse(stdout) as {
          readonly kind: string
          readonly modes: ReadonlyArray<{ readonly name: string; readonly inputs: ReadonlyArray<Item> }>
        }
        expect(kind).toBe("Extension")
        const inputs = modes.find((mode) => mode.name === "build")?.inputs ?? []
        expect(inputs.find((input) => input.name === "packer_template")).toMatchObject({
          type: "path",
          required: true
        })
      }
      const table = (yield* sandboxer("extension", "show", "vm-packer")).stdout
      expect(table).toMatch(/^ +vm_name \(string, required\) {2}Name of the virtual machine/m)
      expect(yield* sandboxer("extension", "show", "vm-pakcer")).toMatchObject({
        exitCode: 3,
        stderr: "error: no extension ext.vm-pakcer\nhint: did you mean ext.vm-packer?\n"
      })
    })
  )
})

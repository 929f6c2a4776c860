import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { over, parseInputs, readInputsFile } from "../../src/cli/Inputs.js"
import { type InputDeclarations, resolveInputs } from "../../src/domain/Input.js"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-inputs-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const read = (text: string, name = "inputs.yaml") => {
  const file = join(folder, name)
  writeFileSync(file, text)
  return Effect.provide(readInputsFile(file), NodeFileSystem.layer)
}

const refused = (text: string, name?: string) =>
  Effect.map(Effect.flip(read(text, name)), ({ hint, location, message, reason }) => ({
    reason,
    at: `${location?.file.replace(`${folder}/`, "")}:${location?.line}:${location?.column}`,
    message,
    hint
  }))

const declarations: InputDeclarations = {
  name: { type: "string", required: true },
  cpus: { type: "integer" },
  force: { type: "boolean" },
  template: { type: "path" },
  files: { type: "list", items: "path" },
  memory: { type: "size" },
  variables: { type: "map" },
  password: { type: "secret" }
}

/** What the inputs of a file and of the command line come to; paths of the latter are relative to /work. */
const resolved = (text: string, ...words: ReadonlyArray<string>) =>
  Effect.map(read(text), (inFile) => {
    const { inputLocations, inputs } = over(inFile, Either.getOrThrow(parseInputs(words)))
    return resolveInputs({
      declarations,
      given: inputs,
      locations: inputLocations,
      environment: {},
      absolute: {
        given: (path, location) => `${location === undefined ? "/work" : location.file}: ${path}`,
        profile: (path) => path
      }
    })
  })

describe("an inputs file", () => {
  it.effect("has typed values, in YAML or JSON", () =>
    Effect.gen(function* () {
      const written = { name: "demo", cpus: 2, force: true, only: ["a", "b"], variables: { a: 1, b: "x" } }
      const yaml = `# A comment
name: demo
cpus: 2
force: true
only: [a, b]
variables: &shared
  a: 1
  b: x
`
      for (const [text, name] of [
        [yaml, "inputs.yaml"],
        [JSON.stringify(written), "inputs.json"],
        [JSON.stringify(written, null, "\t"), "inputs.json"]
      ] as const) {
        expect((yield* read(text, name)).inputs).toEqual(written)
      }
    })
  )

  it.effect("has paths that start from its folder", () =>
    Effect.gen(function* () {
      const file = join(folder, "inputs.yaml")
      const text = 'name: x\ntemplate: ./a.json\nfiles: [b.hcl]\npassword: "@secret"\n'
      expect(Either.getOrThrow(yield* resolved(text))).toEqual({
        values: { name: "x", template: `${file}: ./a.json`, files: [`${file}: b.hcl`] },
        secrets: { password: `@${file}: secret` }
      })
      const { values } = Either.getOrThrow(yield* resolved(text, "template=./c.json"))
      expect(values.template).toBe("/work: ./c.json")
    })
  )

  it.effect("is overridden by the command line; maps entry by entry", () =>
    Effect.gen(function* () {
      const text = "name: file\ncpus: 2\nfiles: [a, b]\nvariables: { a: 1, b: 2 }\n"
      const { values } = Either.getOrThrow(
        yield* resolved(text, "name=word", "files=c", "variables.b=3", "variables.c=4")
      )
      expect(values).toEqual({
        name: "word",
        cpus: 2,
        files: ["/work: c"],
        variables: { a: 1, b: "3", c: "4" }
      })
      const scalar = yield* resolved("name: x\nvariables: 5\n", "variables.a=1")
      expect(Either.getOrThrow(scalar).values.variables).toEqual({ a: "1" })
    })
  )

  it.effect.each([
    ["name: x\ncpus: lots\n", "2:1", 'input cpus: got "lots"'],
    ["name: x\nforce: 1\n", "2:1", "input force: got 1"],
    ["name: x\n\nnmae: y\n", "3:1", "unknown input nmae"],
    ["name: x\ntemplate:\n", "2:1", "input template: got null"],
    ["name: [a]\n", "1:1", 'input name: got ["a"]'],
    ["name: x\npassword: correct-horse\n", "2:1", "input password is a secret and cannot be given as it is"],
    ["name: x\npassword: 12345\n", "2:1", "input password is a secret and cannot be given as it is"],
    ["name: x\npassword: [env:A]\n", "2:1", "input password is a secret and cannot be given as it is"]
  ])("with a wrong value is reported with its line: %j", ([text, at, message]) =>
    Effect.gen(function* () {
      const error = Either.getOrThrow(Either.flip(yield* resolved(text!)))
      expect(`${error.location?.line}:${error.location?.column}`).toBe(at)
      expect(error.location?.file).toBe(join(folder, "inputs.yaml"))
      expect(error).toMatchObject({ reason: "input", message })
      expect(JSON.stringify(error)).not.toMatch(/correct-horse|12345/)
    })
  )

  const begin = "begin with `NAME: VALUE`, a line for each input"
  it.effect.each([
    ["- a\n- b\n", "1:1", "it is not a map of keys", begin],
    ["a text\n", "1:1", "it is not a map of keys", begin],
    ["", "1:1", "it is empty", begin],
    ["a: 1\n---\nb: 2\n", "2:1", "a second document begins here", undefined],
    ["a: 1\na: 2\n", "2:1", "Map keys must be unique", undefined],
    ["a: {b: 1\n", "2:1", undefined, "an inputs file is one YAML document: check the indentation there"],
    ["a: *b\n", "1:4", "there is no anchor &b before *b", undefined],
    ["__proto__: { a: 1 }\n", "1:1", "a key cannot be named __proto__", undefined]
  ])("that is not a mapping is refused with its line: %j", ([text, at, message, hint]) =>
    Effect.gen(function* () {
      const found = yield* refused(text!)
      expect(found).toMatchObject({ reason: "input", at: `inputs.yaml:${at}` })
      if (message !== undefined) expect(found.message).toBe(message)
      if (hint !== undefined) expect(found.hint).toBe(hint)
    })
  )

  it.effect("is refused if aliases would fill the memory", () =>
    Effect.gen(function* () {
      const bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
      for (let n = 1; n < 10; n++) {
        bomb.push(`a${n}: &a${n} [${Array.from({ length: 10 }, () => `*a${n - 1}`).join(", ")}]`)
      }
      expect(yield* refused(bomb.join("\n"))).toMatchObject({
        at: "inputs.yaml:1:1",
        message: "it has too many aliases"
      })
    })
  )

  it.effect("is refused if it is larger than 256 KiB", () =>
    Effect.gen(function* () {
      const name = "name: x # "
      const largest = name.padEnd(256 * 1024, "x")
      expect(Object.keys((yield* read(largest)).inputs)).toEqual(["name"])
      expect(yield* refused(`${largest}x`)).toEqual({
        reason: "input",
        at: "inputs.yaml:1:1",
        message: "it is too large: 262145 bytes",
        hint: "an inputs file is a YAML document of a few kilobytes"
      })
    })
  )

  it.effect("is refused if it does not exist or is a folder", () =>
    Effect.gen(function* () {
      mkdirSync(join(folder, "inner"))
      const message = (name: string) =>
        Effect.map(
          Effect.flip(Effect.provide(readInputsFile(join(folder, name)), NodeFileSystem.layer)),
          (error) => error.message
        )
      expect(yield* message("none.yaml")).toBe("there is no such file")
      expect(yield* message("inner")).toBe("it is not a file")
    })
  )
})

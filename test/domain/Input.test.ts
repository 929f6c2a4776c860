import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import type { UsageError } from "../../src/domain/Errors.js"
import {
  type InputDeclaration,
  type InputDeclarations,
  type InputLocations,
  type InputType,
  type InputValue,
  type InputValues,
  type ResolvedInputs,
  resolveInputs
} from "../../src/domain/Input.js"

/** What is given for an input, and whether a document has it. */
interface Given {
  readonly value: unknown
  readonly inDocument: boolean
}

/** As a command line gives it: a text, or the texts of a repeated key. */
const texts = (...given: ReadonlyArray<string>): Given => ({
  value: given.length === 1 ? given[0] : given,
  inDocument: false
})
const entries = (given: Readonly<Record<string, string>>): Given => ({ value: given, inDocument: false })
/** As a document has it. */
const value = (given: unknown): Given => ({ value: given, inDocument: true })

const resolveAll = (
  declarations: InputDeclarations,
  given: Readonly<Record<string, Given>>,
  environment: Readonly<Record<string, string | undefined>> = {}
): Either.Either<ResolvedInputs, UsageError> => {
  const all = Object.entries(given)
  return resolveInputs({
    declarations,
    given: Object.fromEntries(
      all.map(([name, one]) => [name, one.value as InputValue])
    ) satisfies InputValues,
    locations: Object.fromEntries(
      all.flatMap(([name, { inDocument }]) =>
        inDocument ? [[name, { file: "/inputs.yaml", line: 1, column: 1 }] as const] : []
      )
    ) satisfies InputLocations,
    environment,
    absolute: {
      given: (path) => (path.startsWith("/") ? path : `/given/${path}`),
      profile: (path, input) => `/profiles/of-${input}/${path}`
    }
  })
}

/** What the input `it` becomes, or what is said instead. */
const resolve = (
  declared: InputDeclaration,
  given?: Given,
  environment?: Readonly<Record<string, string | undefined>>
) =>
  Either.match(resolveAll({ it: declared }, given === undefined ? {} : { it: given }, environment), {
    onLeft: ({ hint, message, reason }) => ({ reason, message, hint }),
    onRight: ({ secrets, values }) => ({ ...values, ...secrets }).it
  })

const refused = (message: string, hint: string) => ({ reason: "input", message, hint })

describe("resolving an input", () => {
  it.each<[InputType, Given, unknown]>([
    ["string", texts("hello"), "hello"],
    ["string", texts(""), ""],
    ["string", value("hello"), "hello"],
    ["string", value(5), "5"],
    ["string", value(true), "true"],
    ["path", texts("a b/c"), "/given/a b/c"],
    ["path", texts("/srv/image"), "/srv/image"],
    ["integer", texts("42"), 42],
    ["integer", texts("-1"), -1],
    ["integer", texts("+7"), 7],
    ["integer", value(42), 42],
    ["number", texts("1.5"), 1.5],
    ["number", value(-0.25), -0.25],
    ["boolean", texts("true"), true],
    ["boolean", texts("false"), false],
    ["boolean", value(false), false],
    ["duration", texts("1h30m"), 5400],
    ["duration", value("30 s"), 30],
    ["duration", value(30), 30],
    ["size", texts("20 GiB"), 20 * 1024 ** 3],
    ["size", texts("4096"), 4096],
    ["size", value(4096), 4096],
    ["secret", texts("env:MY_TOKEN"), "env:MY_TOKEN"],
    ["secret", texts("@token.txt"), "@/given/token.txt"],
    ["secret", texts("@/run/token"), "@/run/token"],
    ["list", texts("a"), ["a"]],
    ["list", texts("a", "b,c", ""), ["a", "b,c", ""]],
    ["list", value(["a", 1, false]), ["a", "1", "false"]],
    ["list", value([]), []],
    ["map", entries({ a: "1", "b.c": "2" }), { a: "1", "b.c": "2" }],
    ["map", value({ a: 1, b: [2] }), { a: 1, b: [2] }]
  ])("%s with %j gives %j", (type, given, expected) => {
    expect(resolve({ type }, given)).toEqual(expected)
  })

  it.each<[InputType, Given, string, string]>([
    ["string", value(["a"]), '["a"]', "one value"],
    ["string", value(null), "null", "a text"],
    ["string", texts("a", "b"), '["a","b"]', "one value"],
    ["path", texts(""), '""', "a path"],
    ["path", texts("a\0b"), '"a\\u0000b"', "a path"],
    ["path", value(5), "5", "a path"],
    ["integer", texts("four"), '"four"', "a whole number"],
    ["integer", texts("1.5"), '"1.5"', "a whole number"],
    ["integer", texts(""), '""', "a whole number"],
    ["integer", texts("1e3"), '"1e3"', "a whole number"],
    ["integer", texts("0x10"), '"0x10"', "a whole number"],
    ["integer", texts("9007199254740993"), '"9007199254740993"', "a whole number"],
    ["integer", value(true), "true", "a whole number"],
    ["number", texts("NaN"), '"NaN"', "a number"],
    ["number", value(Number.POSITIVE_INFINITY), "Infinity", "a number"],
    ["boolean", texts("yes"), '"yes"', "true or false"],
    ["boolean", value(1), "1", "true or false"],
    ["duration", texts("90"), '"90"', 'a duration like "90 seconds", "30 minutes" or "1h30m"'],
    ["duration", value(-1), "-1", 'a duration like "90 seconds", "30 minutes" or "1h30m"'],
    [
      "duration",
      value(Number.POSITIVE_INFINITY),
      "Infinity",
      'a duration like "90 seconds", "30 minutes" or "1h30m"'
    ],
    ["size", texts("5 constructor"), '"5 constructor"', 'a size like "20 GiB", "512M" or "1.5 GB"'],
    ["list", value("a"), '"a"', "a list: repeat -i it=…"],
    ["list", value([["a"]]), '["a"]', "a text"],
    ["list", entries({ a: "1" }), '{"a":"1"}', "a list, not a map"],
    ["string", entries({ a: "1" }), '{"a":"1"}', "a string, not a map"],
    ["map", texts("a"), '"a"', "entries: -i it.key=value"],
    ["map", value(["a"]), '["a"]', "entries: -i it.key=value"],
    ["map", value(null), "null", "entries: -i it.key=value"]
  ])("%s rejects %j", (type, given, shown, expected) => {
    expect(resolve({ type }, given)).toEqual(refused(`input it: got ${shown}`, `it takes ${expected}`))
  })

  it("rejects a value that cannot be printed", () => {
    const circle: Record<string, unknown> = {}
    circle.itself = circle
    expect(resolve({ type: "string" }, value(circle))).toMatchObject({
      hint: "it takes a string, not a map"
    })
    expect(resolve({ type: "integer" }, value(5n))).toMatchObject({ hint: "it takes a whole number" })
    expect(resolve({ type: "path" }, value(Symbol("s")))).toMatchObject({ hint: "it takes a path" })
  })

  it("keeps safe integers exactly", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.maxSafeInteger(), (integer) => {
        expect(resolve({ type: "integer" }, texts(String(integer)))).toBe(integer)
      })
    )
  })
})

describe("a list of paths", () => {
  it("makes paths absolute, whatever their source", () => {
    const declared: InputDeclaration = { type: "list", items: "path", default: ["own.hcl"] }
    expect(resolve(declared, texts("a.hcl", "/b.hcl"))).toEqual(["/given/a.hcl", "/b.hcl"])
    expect(resolve(declared)).toEqual(["/profiles/of-it/own.hcl"])
    expect(resolve(declared, value([""]))).toEqual(refused('input it: got ""', "it takes a path"))
  })
})

describe("a secret", () => {
  const source = refused(
    "input it is a secret and cannot be given as it is",
    "give its source, once: -i it=env:NAME or -i it=@FILE"
  )

  it.each<[string, Given]>([
    ["a text", texts("hunter2")],
    ["an empty text", texts("")],
    ["no name", texts("env:")],
    ["no file", texts("@")],
    ["what is no name", texts("env:A B")],
    ["several texts", texts("hunter2", "hunter3")],
    ["several sources", texts("env:A", "env:B")],
    ["entries", entries({ hunter2: "hunter3" })],
    ["a number", value(12_345)],
    ["a list", value(["hunter2"])]
  ])("cannot be given as %s, and the value is not repeated in the error", (_, given) => {
    expect(resolve({ type: "secret" }, given)).toEqual(source)
  })

  it("may be given as a Redacted, whose value is not in the plan", () => {
    const given = { value: Redacted.make("hunter2"), inDocument: false }
    expect(resolve({ type: "secret" }, given)).toBe("prompt")
    const wrong = resolve({ type: "string" }, given)
    expect(wrong).toMatchObject({ reason: "input", hint: "it takes a value that is no secret" })
    expect(JSON.stringify(wrong)).not.toContain("hunter2")
  })

  it("is separated from other inputs, and only its source is recorded", () => {
    const resolved = resolveAll(
      { password: { type: "secret" }, user: { type: "string" } },
      { password: texts("env:PASSWORD"), user: texts("build") },
      { PASSWORD: "hunter2" }
    )
    expect(resolved).toEqual(
      Either.right({ values: { user: "build" }, secrets: { password: "env:PASSWORD" } })
    )
  })

  it("may come from its own environment variable, whose value is not read while planning", () => {
    expect(resolve({ type: "secret", env: "PASSWORD" }, undefined, { PASSWORD: "hunter2" })).toBe(
      "env:PASSWORD"
    )
    expect(resolve({ type: "secret", env: "PASSWORD" }, undefined, {})).toBeUndefined()
  })

  it("in a profile is a source, too", () => {
    expect(resolve({ type: "secret", default: "@token" })).toBe("@/profiles/of-it/token")
    expect(resolve({ type: "secret", default: "hunter2" })).toEqual({
      ...source,
      message: `${source.message} (its default)`
    })
  })

  it("that is missing gets a hint on how to give it", () => {
    expect(resolve({ type: "secret", required: true })).toEqual(
      refused("input it is missing", "give it: -i it=env:NAME or -i it=@FILE")
    )
  })
})

describe("the source of a value", () => {
  const declared: InputDeclaration = { type: "integer", default: 1, env: "CPUS" }

  it("is the request, else the environment, else the default", () => {
    expect(resolve(declared, texts("3"), { CPUS: "2" })).toBe(3)
    expect(resolve(declared, undefined, { CPUS: "2" })).toBe(2)
    expect(resolve(declared, undefined, {})).toBe(1)
  })

  it("is not an environment variable that is empty", () => {
    expect(resolve(declared, undefined, { CPUS: "" })).toBe(1)
    expect(resolve({ type: "integer", env: "CPUS", required: true }, undefined, { CPUS: "" })).toMatchObject({
      message: "input it is missing"
    })
  })

  it("is named in the error if nobody gave a value", () => {
    const number = "it takes a whole number"
    expect(resolve(declared, texts("x"))).toEqual(refused('input it: got "x"', number))
    expect(resolve(declared, undefined, { CPUS: "x" })).toEqual(
      refused('input it: got "x" (from CPUS)', number)
    )
    expect(resolve({ ...declared, default: "x" })).toEqual(refused('input it: got "x" (its default)', number))
  })

  it("decides where relative paths start", () => {
    const path: InputDeclaration = { type: "path", default: "own.hcl", env: "TEMPLATE" }
    expect(resolve(path, texts("given.hcl"))).toBe("/given/given.hcl")
    expect(resolve(path, undefined, { TEMPLATE: "from-env.hcl" })).toBe("/given/from-env.hcl")
    expect(resolve(path)).toBe("/profiles/of-it/own.hcl")
  })

  it("may be missing for an optional input", () => {
    expect(resolveAll({ it: { type: "string" } }, {})).toEqual(Either.right({ values: {}, secrets: {} }))
  })

  it("must exist for a required input", () => {
    expect(resolve({ type: "string", required: true })).toEqual(
      refused("input it is missing", "give it: -i it=…")
    )
    expect(resolve({ type: "path", required: true, description: "The template" })).toEqual(
      refused("input it is missing", "give it: -i it=… (The template)")
    )
  })
})

describe("a pattern", () => {
  it("must match the whole text", () => {
    const declared: InputDeclaration = { type: "string", pattern: "[a-z]+|x" }
    expect(resolve(declared, texts("abc"))).toBe("abc")
    for (const given of ["abc1", "1abc", "abc\n", ""]) {
      expect(resolve(declared, texts(given))).toEqual(
        refused(`input it: got ${JSON.stringify(given)}`, "it takes a text that matches [a-z]+|x")
      )
    }
  })

  it("may contain its own anchors", () => {
    expect(resolve({ type: "string", pattern: "^[a-z]+$" }, texts("abc"))).toBe("abc")
  })

  it("applies to each item of a list or map", () => {
    const pattern = "[a-z]+"
    expect(resolve({ type: "list", pattern }, texts("a", "b"))).toEqual(["a", "b"])
    expect(resolve({ type: "list", pattern }, texts("a", "2"))).toMatchObject({
      message: 'input it: got "2"'
    })
    expect(resolve({ type: "map", pattern }, entries({ a: "b" }))).toEqual({ a: "b" })
    expect(resolve({ type: "map", pattern }, entries({ a: "2" }))).toMatchObject({
      message: 'input it: got "2"'
    })
  })

  it("applies to a number as it is written", () => {
    expect(resolve({ type: "integer", pattern: "[1-9]" }, texts("+7"))).toBe(7)
    expect(resolve({ type: "integer", pattern: "[1-9]" }, texts("10"))).toMatchObject({ reason: "input" })
  })

  it("applies to defaults and to the environment, too", () => {
    const declared: InputDeclaration = { type: "string", pattern: "[a-z]", env: "IT", default: "1" }
    expect(resolve(declared)).toMatchObject({ message: 'input it: got "1" (its default)' })
    expect(resolve(declared, undefined, { IT: "2" })).toMatchObject({
      message: 'input it: got "2" (from IT)'
    })
  })
})

describe("choices", () => {
  const declared: InputDeclaration = { type: "string", choices: ["qcow2", "as-built"] }

  it("are the only accepted values", () => {
    expect(resolve(declared, texts("qcow2"))).toBe("qcow2")
    expect(resolve({ type: "integer", choices: ["1", "2"] }, texts("2"))).toBe(2)
    expect(resolve({ type: "list", choices: ["a", "b"] }, texts("b", "a"))).toEqual(["b", "a"])
  })

  it("are suggested if one is near, else listed", () => {
    expect(resolve(declared, texts("qcow"))).toEqual(refused('input it: got "qcow"', "did you mean qcow2?"))
    expect(resolve(declared, texts("vmdk"))).toEqual(
      refused('input it: got "vmdk"', "it takes one of qcow2, as-built")
    )
    expect(resolve({ type: "list", choices: ["alpha"] }, texts("alpha", "omega"))).toMatchObject({
      message: 'input it: got "omega"'
    })
  })
})

describe("an undeclared input", () => {
  const declarations: InputDeclarations = { vm_name: { type: "string" }, format: { type: "string" } }
  const said = (name: string) =>
    Either.match(resolveAll(declarations, Object.fromEntries([[name, texts("x")]])), {
      onLeft: ({ hint, message, reason }) => ({ reason, message, hint }),
      onRight: () => undefined
    })

  it("is reported with the nearest declared one", () => {
    expect(said("vmname")).toEqual(refused("unknown input vmname", "did you mean vm_name?"))
    expect(said("frobnication")).toEqual(refused("unknown input frobnication", "inputs are vm_name, format"))
  })

  it.each(["__proto__", "constructor", "toString", "hasOwnProperty"])("%s is reported", (name) => {
    expect(said(name)).toEqual(refused(`unknown input ${name}`, "inputs are vm_name, format"))
  })
})

describe.each(["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"])(
  "an input called %s",
  (name) => {
    const declare = (declared: InputDeclaration): InputDeclarations => Object.fromEntries([[name, declared]])

    it("works like any other input", () => {
      const given = Object.fromEntries([[name, texts("hello")]])
      const resolved = Either.getOrThrow(resolveAll(declare({ type: "string" }), given))
      expect(Object.entries(resolved.values)).toEqual([[name, "hello"]])
      const secret = Object.fromEntries([[name, texts("env:A")]])
      expect(
        Object.entries(Either.getOrThrow(resolveAll(declare({ type: "secret" }), secret)).secrets)
      ).toEqual([[name, "env:A"]])
    })

    it("is not given by accident", () => {
      const resolved = Either.getOrThrow(resolveAll(declare({ type: "string" }), {}))
      expect(Object.entries(resolved.values)).toEqual([])
    })

    it("is not found in an environment without that variable", () => {
      const resolved = Either.getOrThrow(
        resolveAll({ it: { type: "string", env: name, default: "default" } }, {})
      )
      expect(resolved.values).toEqual({ it: "default" })
    })

    it("may be a key of a map without polluting prototypes", () => {
      const given = { it: entries(Object.fromEntries([[name, "polluted"]])) }
      const { it } = Either.getOrThrow(resolveAll({ it: { type: "map" } }, given)).values
      expect(Object.entries(it as object)).toEqual([[name, "polluted"]])
      expect(Object.values(Object.prototype)).toEqual([])
    })
  }
)

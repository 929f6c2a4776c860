import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { parseInputs } from "../../src/cli/Inputs.js"

const inputs = (...given: ReadonlyArray<string>) => Either.getOrThrow(parseInputs(given))
const refused = (...given: ReadonlyArray<string>) => {
  const { hint, message, reason } = Either.getOrThrow(Either.flip(parseInputs(given)))
  return { reason, message, hint }
}

describe("-i", () => {
  it("gives an input its text unchanged", () => {
    expect(inputs("vm_name=demo", 'message=a = b, "c"\n', "empty=", "dash-ed=1", "path=./a b")).toEqual({
      vm_name: "demo",
      message: 'a = b, "c"\n',
      empty: "",
      "dash-ed": "1",
      path: "./a b"
    })
    expect(inputs()).toEqual({})
  })

  it("repeated is a list, in order", () => {
    expect(inputs("only=b", "vm_name=demo", "only=a", "only=a")).toEqual({
      only: ["b", "a", "a"],
      vm_name: "demo"
    })
  })

  it("with a name after a dot is an entry of a map; the last one of a name wins", () => {
    expect(inputs("variables.a=1", "variables.b.c=x=y", "variables.a=2", "variables.é=3")).toEqual({
      variables: { a: "2", "b.c": "x=y", é: "3" }
    })
  })

  it.each(["vm_name", "", "=demo", "1a=b", "a b=c", ".a=b", "a.=b", "-a=b"])("rejects %j", (word) => {
    expect(refused("vm_name=demo", word)).toEqual({
      reason: "input",
      message: `-i ${word} is no input`,
      hint: "write -i KEY=VALUE, or -i KEY.NAME=VALUE for a map"
    })
  })

  it("cannot mix a value and map entries", () => {
    const both = {
      reason: "input",
      message: "input a is given as a value and as a map",
      hint: "write either -i a=… or -i a.NAME=…"
    }
    expect(refused("a=1", "a.b=2")).toEqual(both)
    expect(refused("a.b=2", "a=1")).toEqual(both)
  })

  it.each(["__proto__", "constructor", "toString", "hasOwnProperty"])(
    "may be named like a property of an object: %s",
    (name) => {
      expect(Object.entries(inputs(`${name}=1`, `${name}=2`))).toEqual([[name, ["1", "2"]]])
      expect(Object.entries(inputs(`${name}.a=1`))).toEqual([[name, { a: "1" }]])
      const { map } = inputs(`map.${name}=polluted`)
      expect(Object.entries(map ?? {})).toEqual([[name, "polluted"]])
      expect(Object.keys(Object.prototype)).toEqual([])
    }
  )
})

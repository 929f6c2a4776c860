import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { merge } from "../../src/domain/Profile.js"

describe("merging documents", () => {
  it("merges key by key; the more specific document wins", () => {
    expect(
      merge(
        { ttl: "1 h", placement: { host: "local", requires: { commands: ["packer"] } } },
        { mode: "build", placement: { requires: { freeDisk: "1 GiB" } } }
      )
    ).toEqual({
      ttl: "1 h",
      mode: "build",
      placement: { host: "local", requires: { commands: ["packer"], freeDisk: "1 GiB" } }
    })
  })

  it("replaces lists and scalars completely", () => {
    expect(
      merge(
        { commands: ["packer", "qemu-img"], inputs: { cpus: { default: 2 } }, ttl: "1 h" },
        { commands: ["packer"], inputs: { cpus: 4 }, ttl: null }
      )
    ).toEqual({ commands: ["packer"], inputs: { cpus: 4 }, ttl: null })
  })

  it("changes neither document", () => {
    const base = { inputs: { a: { default: 1 } } }
    const specific = { inputs: { a: { required: true } } }
    merge(base, specific)
    expect([base, specific]).toEqual([
      { inputs: { a: { default: 1 } } },
      { inputs: { a: { required: true } } }
    ])
  })

  it("treats names like __proto__ as ordinary keys", () => {
    const hostile = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": {"a": 1}, "toString": 2}')
    const merged = merge({ a: 1 }, hostile)
    expect(Object.keys(merged)).toEqual(["a", "__proto__", "constructor", "toString"])
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false)
    expect(Object.keys(merge(hostile, hostile))).toEqual(["__proto__", "constructor", "toString"])
  })

  it("with an empty one gives the same document", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.dictionary(FastCheck.string(), FastCheck.jsonValue()), (document) => {
        expect(merge({}, document)).toEqual(document)
        expect(merge(document, {})).toEqual(document)
        expect(merge(document, document)).toEqual(document)
      })
    )
  })
})

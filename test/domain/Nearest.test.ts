import { describe, expect, it } from "@effect/vitest"
import { didYouMean, nearest } from "../../src/domain/Nearest.js"

const verbs = ["create", "list", "ls", "show", "logs", "events", "destroy", "rm"]

describe("the nearest word", () => {
  it.each([
    ["craete", "create"],
    ["CREATE", "create"],
    ["desroy", "destroy"],
    ["ev", "events"],
    ["lst", "list"],
    ["lsit", "list"],
    ["shw", "show"]
  ])("to %s is %s", (given, expected) => {
    expect(nearest(given, verbs)).toBe(expected)
  })

  it.each(["frobnicate", "xy", "q", "constructor", "toString"])("to %s does not exist", (given) => {
    expect(nearest(given, verbs)).toBeUndefined()
  })

  it("knows a profile by its short name", () => {
    expect(nearest("linux", ["profile.base", "profile.linux"])).toBe("profile.linux")
  })

  it("may differ more in a long word", () => {
    expect(nearest("packr_tmplte", ["packer_template", "vm_name"])).toBe("packer_template")
  })

  it("of an empty list does not exist", () => {
    expect(nearest("list", [])).toBeUndefined()
  })
})

describe("the hint", () => {
  it("names the nearest word, else gives the fallback", () => {
    expect(didYouMean("lst", verbs, "see --help")).toBe("did you mean list?")
    expect(didYouMean("frobnicate", verbs, "see --help")).toBe("see --help")
  })
})

import { describe, expect, it } from "@effect/vitest"
import * as Version from "../../src/packer/wire/Version.js"
import { output, versions } from "./packerOutput.js"

const version = (text: string): Version.Version => Version.parse(text)!

describe("parse", () => {
  it("reads the output of every Packer", () => {
    expect(versions.map((one) => Version.parse(output(one, "version")))).toEqual([
      { major: 1, minor: 6, patch: 6 },
      { major: 1, minor: 16, patch: 0 }
    ])
    for (const text of [
      "1.6.6",
      "1.6.6\n",
      "v1.6.6",
      "Packer v1.6.6",
      "Packer v1.6.6\n",
      "1.6.6+debian1 (2023)"
    ]) {
      expect(Version.parse(text), text).toEqual({ major: 1, minor: 6, patch: 6 })
    }
    expect(Version.parse("Packer v1.16.0")).toEqual({ major: 1, minor: 16, patch: 0 })
  })

  it("reads a prerelease", () => {
    const expected = { major: 1, minor: 16, patch: 0, prerelease: "dev" }
    expect(Version.parse("Packer v1.16.0-dev (abc)")).toEqual(expected)
    expect(Version.parse("1,,version,1.16.0\n1,,version-prelease,dev\n1,,version-commit,abc\n")).toEqual(
      expected
    )
  })

  it("reads this version, not the recommended one", () => {
    const text =
      "Packer v1.9.0\n\nYour version of Packer is out of date! The latest version\nis 1.16.0. You can update by"
    expect(Version.parse(text)).toEqual({ major: 1, minor: 9, patch: 0 })
    expect(Version.parse(`1,,version,1.9.0\n1,,ui,say,${text.replaceAll("\n", "\\n")}\n`)).toEqual({
      major: 1,
      minor: 9,
      patch: 0
    })
  })

  it("finds no version in the output of another program", () => {
    for (const text of [
      "",
      "0 0\n",
      "packer: command not found",
      "skipping line: 1",
      "1.6",
      "is 1.6.6",
      "1.6.6.6"
    ]) {
      expect(Version.parse(text), text).toBeUndefined()
    }
  })

  it("keeps a version that format writes again", () => {
    for (const text of ["1.6.6", "1.16.0-dev"]) {
      expect(Version.format(version(text))).toBe(text)
    }
  })
})

describe("compare", () => {
  it("orders by number, and a prerelease before its release", () => {
    const ordered = [
      "0.12.3",
      "1.6.0",
      "1.6.6",
      "1.7.0-beta1",
      "1.7.0-dev",
      "1.7.0",
      "1.10.0",
      "1.16.0",
      "2.0.0"
    ]
    const sorted = [...ordered].reverse().map(version).sort(Version.compare)
    expect(sorted.map(Version.format)).toEqual(ordered)
    expect(Version.compare(version("1.6.6"), version("1.6.6"))).toBe(0)
  })

  it("finds versions that are too old", () => {
    expect(Version.compare(version("1.5.6"), Version.minimum)).toBe(-1)
    expect(Version.compare(version("1.6.0"), Version.minimum)).toBe(0)
    expect(Version.compare(version("1.6.6"), Version.minimum)).toBe(1)
  })
})

describe("a feature of a version", () => {
  const gates = [
    ["hasInit", Version.hasInit, "1.6.6", "1.7.0"],
    ["pluginsBundled", (one: Version.Version) => !Version.pluginsBundled(one), "1.9.5", "1.10.0"]
  ] as const
  for (const [name, gate, before, since] of gates) {
    it(`${name} changes with ${since}`, () => {
      expect([before, since, "1.6.0", "1.16.0"].map((one) => gate(version(one)))).toEqual([
        false,
        true,
        false,
        true
      ])
    })
  }
})

import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { exitCodeOf, FailureReason, failureReasons, ProvisionError } from "../../src/domain/Failure.js"

describe("failure reasons", () => {
  it("belong to one exit code each, of those that are documented", () => {
    const documented = [1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 130]
    expect(failureReasons.filter((reason) => !documented.includes(exitCodeOf(reason)))).toEqual([])
  })

  it.each([
    ["internal", 1],
    ["template-invalid", 2],
    ["build-failed", 10],
    ["interrupted", 10],
    ["artifact-damaged", 10],
    ["timed-out", 11],
    ["output-exists", 13],
    ["host-unreachable", 14],
    ["packer-missing", 15],
    ["plugin-missing", 15],
    ["disk-space", 15],
    ["cancelled", 130]
  ] as const)("%s ends with %i", (reason, exitCode) => {
    expect(exitCodeOf(reason)).toBe(exitCode)
  })

  it("are a closed set", () => {
    const is = Schema.is(FailureReason)
    expect(failureReasons.every((reason) => is(reason))).toBe(true)
    expect(["constructor", "toString", "done"].filter((reason) => is(reason))).toEqual([])
  })
})

describe("a failure", () => {
  it("has an empty log where there is none", () => {
    const error = new ProvisionError({
      reason: "timed-out",
      message: "it took too long",
      hint: "wait longer"
    })
    expect(error.logTail).toEqual([])
    expect(error.message).toBe("it took too long")
  })
})

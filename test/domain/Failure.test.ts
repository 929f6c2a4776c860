import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import {
  exitCodeOf,
  FailureReason,
  failureReasons,
  ProvisionError,
  runbookOf,
  titleOf
} from "../../src/domain/Failure.js"
import { root } from "../support/documents.js"

describe("failure reasons", () => {
  it("have one of the documented exit codes each", () => {
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
    ["hypervisor-died", 10],
    ["disk-full", 10],
    ["output-exists", 13],
    ["port-taken", 13],
    ["kvm-unusable", 15],
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

const text = (file: string) => readFileSync(join(root, file), "utf8")

describe("the page of a failure reason", () => {
  it.each(failureReasons)("%s says its cause, what to look at and what to do", (reason) => {
    const page = text(runbookOf(reason))
    expect(page.split("\n", 3)).toEqual([
      `# \`${reason}\`: ${titleOf(reason)}`,
      "",
      `Exit code ${exitCodeOf(reason)}.`
    ])
    const parts = page.split(/^## /m).slice(1)
    expect(parts.map((part) => part.split("\n", 1)[0])).toEqual(["Cause", "What to look at", "What to do"])
    for (const part of parts) expect(part.split("\n").slice(1).join("").length).toBeGreaterThan(20)
  })

  it("exists for each reason and for nothing else, and the index lists it", () => {
    expect(readdirSync(join(root, "runbooks/failures")).sort()).toEqual(
      failureReasons.map((reason) => `${reason}.md`).sort()
    )
    const index = text("runbooks/README.md")
    for (const reason of failureReasons) {
      expect(index).toContain(
        `| [\`${reason}\`](failures/${reason}.md) | ${exitCodeOf(reason)} | ${titleOf(reason)} |`
      )
    }
  })
})

describe("a failure", () => {
  it("has an empty log by default", () => {
    const error = new ProvisionError({
      reason: "timed-out",
      message: "it took too long",
      hint: "wait longer"
    })
    expect(error.logTail).toEqual([])
    expect(error.message).toBe("it took too long")
  })
})

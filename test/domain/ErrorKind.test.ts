import { SqlError } from "@effect/sql/SqlError"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import { codeOf, describeError, errorKind } from "../../src/domain/ErrorKind.js"

const coded = (code: string) => Object.assign(new Error(`${code}: it failed`), { code })

describe("errorKind", () => {
  it.each([
    ["ENOENT", "not-found"],
    ["EEXIST", "exists"],
    ["ENOTEMPTY", "not-empty"],
    ["EROFS", "not-permitted"],
    ["EDQUOT", "disk-full"],
    ["EIO", "unusable"],
    ["SQLITE_FULL", "disk-full"],
    ["SQLITE_IOERR_FSYNC", "unusable"],
    ["SQLITE_READONLY_DIRECTORY", "not-permitted"],
    ["SQLITE_CORRUPT_VTAB", "damaged"],
    ["SQLITE_NOTADB", "damaged"],
    ["SQLITE_BUSY_SNAPSHOT", "busy"],
    ["SQLITE_CONSTRAINT_UNIQUE", "other"],
    ["constructor", "other"]
  ])("classifies %s as: %s", (code, kind) => {
    expect(errorKind(coded(code))).toBe(kind)
  })

  it("finds the code of a nested cause", () => {
    const wrapped = new SqlError({
      message: "a statement failed",
      cause: new Cause.UnknownException(coded("ENOSPC"))
    })
    expect(codeOf(wrapped)).toBe("ENOSPC")
    expect(errorKind(wrapped)).toBe("disk-full")
  })

  it("treats an error without a code as another kind", () => {
    for (const error of [new Error("no space left"), "ENOSPC", null, undefined, { code: 28 }]) {
      expect(errorKind(error)).toBe("other")
    }
  })
})

describe("describeError", () => {
  it("shows causes and leaves out errors that only wrap them", () => {
    const cause = new Error("ENOSPC: no space left")
    expect(describeError(cause)).toBe("ENOSPC: no space left")
    expect(describeError(new SqlError({ message: "a statement failed", cause }))).toBe(
      "ENOSPC: no space left"
    )
    expect(describeError(new Cause.UnknownException(cause))).toBe("ENOSPC: no space left")
    expect(describeError(new Error("it cannot be written", { cause }))).toBe(
      "it cannot be written: ENOSPC: no space left"
    )
    expect(describeError(new Error("ENOSPC: no space left, write", { cause }))).toBe(
      "ENOSPC: no space left, write"
    )
    expect(describeError("a text")).toBe("a text")
  })
})

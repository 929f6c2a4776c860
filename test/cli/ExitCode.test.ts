import { existsSync } from "node:fs"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as FiberId from "effect/FiberId"
import { type CommandError, Ended, ofDefect, ofError, ofSandbox } from "../../src/cli/ExitCode.js"
import { Conflict, NotFound, UsageError } from "../../src/domain/Errors.js"
import { exitCodeOf, type Failure, failureReasons, runbookOf } from "../../src/domain/Failure.js"
import { change, Sandbox, SandboxId } from "../../src/domain/Sandbox.js"
import { HostError } from "../../src/hosts/Host.js"
import { StoreError } from "../../src/store/SandboxStore.js"

const text = { message: "it is wrong", hint: "mend it" }
const told = ["error: it is wrong", "hint: mend it"]

const host = (reason: HostError["reason"]) => new HostError({ reason, host: "local", ...text })
const store = (reason: StoreError["reason"]) => new StoreError({ reason, ...text })

describe("an error", () => {
  it.each<[number, CommandError]>([
    [2, new UsageError({ reason: "usage", ...text })],
    [2, new UsageError({ reason: "template", ...text })],
    [2, new UsageError({ reason: "configuration", ...text })],
    [3, new NotFound({ reason: "sandbox", ...text })],
    [3, new NotFound({ reason: "profile", ...text })],
    [13, new Conflict({ reason: "name-taken", ...text })],
    [13, new Conflict({ reason: "running", ...text })],
    [14, host("unreachable")],
    [15, host("program-missing")],
    [15, host("not-permitted")],
    [15, store("not-writable")],
    [15, store("newer")],
    [1, store("damaged")],
    [1, store("other")]
  ])("exits with %i and prints a message and a hint: %s", (exitCode, error) => {
    expect(ofError(error)).toEqual({ exitCode, message: told })
  })

  it("in a document begins with its place", () => {
    const location = { file: "/p/a.yaml", line: 3, column: 5 }
    expect(ofError(new UsageError({ reason: "profile", ...text, location })).message).toEqual([
      "error: /p/a.yaml:3:5: it is wrong",
      "hint: mend it"
    ])
  })

  it("of @effect/cli is printed in one plain line", () => {
    const error = ValidationError.missingValue(HelpDoc.p("Expected to find option:\n  '--profile'"))
    expect(ofError(error)).toEqual({
      exitCode: 2,
      message: [
        "error: Expected to find option: '--profile'",
        "hint: `sandboxer --help`, or --help after a command, shows what it takes"
      ]
    })
  })

  it("that was already printed is not printed again", () => {
    expect(ofError(new Ended({ exitCode: 10 }))).toEqual({ exitCode: 10, message: [] })
  })

  it("cannot send control sequences to the terminal", () => {
    const { message } = ofError(
      new NotFound({ reason: "log", message: "no \u001b[2Jlog \u0007", hint: "wait\u001b]0;x\u0007" })
    )
    expect(message).toEqual(["error: no log ", "hint: wait"])
  })
})

describe("an unexpected failure", () => {
  const cause = Cause.die(new Error("out of \u001b[31mluck"))

  it("is reported as a bug, with its stack on request", () => {
    expect(ofDefect(cause, false)).toEqual({
      exitCode: 1,
      message: ["error: out of luck", "hint: this is a bug; --log-level debug says more"]
    })
    const { exitCode, message } = ofDefect(cause, true)
    expect(exitCode).toBe(1)
    expect(message.join("\n")).toContain("ExitCode.test.ts")
  })

  it("may be of any type", () => {
    expect(ofDefect(Cause.die("luck"), false).message[0]).toBe("error: luck")
  })

  it("is not a bug if it is an interruption", () => {
    expect(ofDefect(Cause.interrupt(FiberId.none), false)).toEqual({ exitCode: 130, message: [] })
  })
})

describe("a provision that ended", () => {
  const sandbox = new Sandbox({
    id: SandboxId.make("0123456789ab"),
    name: "demo",
    profile: "profile.demo",
    extension: "ext.demo",
    mode: "build",
    state: "ready",
    placement: { host: "local" },
    inputs: {},
    createdAt: DateTime.unsafeMake(0),
    attempt: 1,
    artifacts: []
  })
  const failure: Failure = { reason: "build-failed", ...text, logTail: [], runbook: null }

  it("ready exits with 0 and prints nothing", () => {
    expect(ofSandbox(sandbox)).toEqual({ exitCode: 0, message: [] })
  })

  it("cancelled exits with 130", () => {
    expect(ofSandbox(change(sandbox, { state: "cancelled" }))).toEqual({
      exitCode: 130,
      message: ["demo was cancelled"]
    })
  })

  it.each(failureReasons)("with %s exits with its exit code", (reason) => {
    const failed = change(sandbox, { state: "failed", failure: { ...failure, reason } })
    expect(ofSandbox(failed)).toEqual({
      exitCode: exitCodeOf(reason),
      message: ["error: demo: it is wrong", "hint: mend it"]
    })
  })

  it.each(failureReasons)("with %s names its page, which exists", (reason) => {
    const failed = change(sandbox, {
      state: "failed",
      failure: { ...failure, reason, runbook: runbookOf(reason) }
    })
    const see = ofSandbox(failed).message.at(-1) ?? ""
    expect(see).toMatch(/^see: \//)
    expect(existsSync(see.slice("see: ".length))).toBe(true)
  })

  it("as failed prints the last lines of output first", () => {
    const logTail = ["a line", "an \u001b[31mugly\u001b[0m line"]
    const failed = change(sandbox, { state: "failed", failure: { ...failure, logTail } })
    expect(ofSandbox(failed).message).toEqual([
      "",
      "  | a line",
      "  | an ugly line",
      "",
      "error: demo: it is wrong",
      "hint: mend it"
    ])
  })
})

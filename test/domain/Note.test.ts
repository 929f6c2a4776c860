import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import { ArtifactId } from "../../src/domain/Artifact.js"
import * as Event from "../../src/domain/events/Event.js"
import type { Failure } from "../../src/domain/Failure.js"
import { isNotified, lastLine, noteOf, oneLine } from "../../src/domain/Note.js"
import type { PhaseName } from "../../src/domain/Phase.js"
import { id, note, plan, requested, sandbox } from "../support/inMemory.js"

const at = (seconds: number) => DateTime.unsafeMake(seconds * 1000)

/** The event as the store numbers it, at this many seconds. */
const numbered = (event: Event.NewEvent, seconds = 0) => Event.numbered(id(1), 9, event, at(seconds))

const phaseAt = (phase: PhaseName, seconds: number, build?: string) =>
  Event.phaseEntered({ attempt: 1, phase, build, time: seconds * 1000 })
const heartbeat = (phase: PhaseName | null, tail: string | null) =>
  Event.heartbeat({ occurrence: { attempt: 1, term: 1, at: 0 }, phase, elapsedSeconds: 0, tail })
const failure: Failure = {
  reason: "connect-timeout",
  message: "no route to host",
  hint: "",
  logTail: [],
  runbook: null
}
const artifact = {
  id: ArtifactId.make("0123456789ab"),
  name: "demo.ova",
  path: "/a/demo.ova",
  format: "ova",
  sizeBytes: 3 * 1024 ** 3,
  sha256: "0123456789abcdef",
  primary: true
}
const proof = { jobs: 1, killed: 2, left: 0 }
const warning = (message: string) => Event.warning({ attempt: 1, key: message, message, phase: null })

const hub = plan().hub
const inProvision = {
  phase: { name: "provision" as const, startedAt: at(60), percent: null, etaSeconds: null }
}
const begun = numbered(Event.provisioning(1))
const connect = numbered(phaseAt("connect", 10))

const summary = (
  event: Event.Event,
  earlier: ReadonlyArray<Event.Event> = [],
  record = sandbox(inProvision)
) => noteOf(record, hub, event, earlier).summary

describe("the summary of a note", () => {
  it("of a heartbeat gives percent and remaining time if they are known", () => {
    const event = numbered(heartbeat("provision", "installing ghc"), 600)
    expect(summary({ ...event, percent: 62.3, etaSeconds: 233 })).toBe(
      "demo · provision · 62 % · about 4 min left · installing ghc"
    )
  })

  it("of a heartbeat gives the time in the phase if no more is known", () => {
    expect(summary(numbered(heartbeat("provision", "installing ghc"), 240))).toBe(
      "demo · provision · 3 min so far · installing ghc"
    )
    expect(summary(numbered(heartbeat("provision", null), 240))).toBe("demo · provision · 3 min so far")
    expect(summary(numbered(heartbeat("provision", null), 100))).toBe("demo · provision · 40 s so far")
    expect(summary(numbered(heartbeat(null, null), 4200), [], sandbox())).toBe(
      "demo · waiting · 1 h 10 min so far"
    )
  })

  it("of a phase says how long the one before it took", () => {
    const made = noteOf(sandbox(), hub, numbered(phaseAt("provision", 75)), [begun, connect])
    expect(made.summary).toBe("demo · provision · connect took 1 min 05 s")
    expect(made.detail).toMatchObject({ previous_phase: "connect", previous_phase_seconds: 65 })
  })

  it("of a phase of one of several builds looks at that build's phases alone", () => {
    const one = numbered(phaseAt("boot", 5, "a"))
    expect(summary(numbered(phaseAt("connect", 9, "b")), [begun, one])).toBe("demo · b: connect")
    expect(summary(numbered(phaseAt("connect", 9, "a")), [begun, one])).toBe(
      "demo · a: connect · boot took 4 s"
    )
  })

  it("of an end says what a person asks about it", () => {
    expect(summary(numbered(Event.ready(1), 70), [begun, connect])).toBe(
      "demo · ready · 1 min 10 s in all · connect took 1 min 00 s"
    )
    expect(summary(numbered(Event.failed(1, failure), 70), [begun, connect])).toBe(
      "demo · failed in provision after 1 min 10 s · no route to host"
    )
    expect(summary(numbered(Event.cancelled(1, proof)))).toBe(
      "demo · cancelled: nothing of it is running · 1 job ended, 2 processes killed"
    )
  })

  it.each([
    Event.ready(1),
    Event.failed(1, failure),
    Event.cancelled(1, proof),
    Event.retrying({ attempt: 1, times: 2, failure, logPath: null })
  ])("of $type says how long the last phase took", (event) => {
    const made = noteOf(sandbox(), hub, numbered(event, 75), [begun, connect])
    expect(made.detail).toMatchObject({ previous_phase: "connect", previous_phase_seconds: 65 })
  })

  it("of an artifact gives its name, size and the beginning of its SHA-256", () => {
    expect(summary(numbered(Event.artifactMade(1, artifact)))).toBe(
      "demo · made demo.ova · 3.0 GiB · sha256 0123456789ab…"
    )
  })

  it("is one line of at most 300 characters, without terminal control sequences", () => {
    expect(summary(numbered(warning("disk\nlow \u001b[31mnow\u001b[0m")))).toBe(
      "demo · warning: disk low now"
    )
    expect([...summary(numbered(note("x".repeat(5000))))]).toHaveLength(300)
  })
})

describe("the last line of output", () => {
  it.each([
    [["==> qemu: a", "    qemu: installing ghc", "   "], "installing ghc"],
    [["1 %\r50 %\r"], "50 %"],
    [["\u001b]0;title\u0007\u001b[1mbold\u001b[m"], "bold"],
    [["\u202Egnp.exe\u0000"], "gnp.exe"],
    [[], null],
    [["\u001b[2J"], null]
  ])("%j is %j", (lines, expected) => {
    expect(lastLine(lines)).toBe(expected)
  })

  it("is cut, between letters", () => {
    expect(lastLine(["😀".repeat(500)])).toBe(`${"😀".repeat(119)}…`)
    expect(oneLine("a".repeat(300))).toHaveLength(300)
  })
})

describe("a State Hub gets notes of", () => {
  const events: ReadonlyArray<Event.NewEvent> = [
    requested,
    Event.planned(plan()),
    Event.takenOver(1, 2, null),
    note("a note"),
    phaseAt("boot", 0),
    warning("a warning"),
    Event.artifactMade(1, artifact),
    Event.failed(1, failure),
    Event.cancelled(1, proof),
    Event.destroyed(undefined)
  ]
  const types = events.map(({ type }) => type)
  it.each([
    ["none", []],
    ["failures", ["taken-over", "warning", "failed", "cancelled"]],
    ["phases", types.filter((type) => type !== "note")],
    ["all", types]
  ] as const)("%s of the events", (notes, notified) => {
    expect(
      events
        .filter((event) => isNotified({ ...hub, notes }, numbered(event), undefined))
        .map(({ type }) => type)
    ).toEqual(notified)
  })

  it("a heartbeat if the last one was long enough ago", () => {
    const notified = (seconds: number, last: number | undefined) =>
      isNotified({ ...hub, everySeconds: 60 }, numbered(heartbeat(null, null), seconds), last)
    expect([notified(10, undefined), notified(69, 10_000), notified(70, 10_000)]).toEqual([true, false, true])
  })
})

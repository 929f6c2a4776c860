import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import { isNotified, lastLine, noteOf, oneLine } from "../../src/domain/Note.js"
import { ProgressEvent } from "../../src/domain/ProgressEvent.js"
import { id, plan, sandbox } from "../support/inMemory.js"

const at = (seconds: number) => DateTime.unsafeMake(seconds * 1000)

const event = (fields: Partial<ConstructorParameters<typeof ProgressEvent>[0]>) =>
  new ProgressEvent({
    id: `${id(1)}-9`,
    sandboxId: id(1),
    seq: 9,
    time: at(0),
    type: "note",
    phase: null,
    message: "",
    percent: null,
    etaSeconds: null,
    data: {},
    ...fields
  })

const hub = plan().hub
const phase = (name: "connect" | "provision") => ({
  name,
  startedAt: at(60),
  percent: null,
  etaSeconds: null
})
const begun = event({ type: "provisioning", time: at(0) })
const connect = event({ type: "phase", phase: "connect", message: "connect", time: at(10) })

const summary = (
  fields: Partial<ConstructorParameters<typeof ProgressEvent>[0]>,
  earlier: ReadonlyArray<ProgressEvent> = [],
  record = sandbox({ phase: phase("provision") })
) => noteOf(record, hub, event(fields), earlier).summary

describe("a summary is what a person reads with pleasure", () => {
  it("of a heartbeat, with history", () => {
    expect(
      summary({
        type: "heartbeat",
        phase: "provision",
        time: at(600),
        percent: 62.3,
        etaSeconds: 233,
        data: { tail: "installing ghc" }
      })
    ).toBe("demo · provision · 62 % · about 4 min left · installing ghc")
  })

  it("of a heartbeat, without: nothing is invented", () => {
    const told = { type: "heartbeat", phase: "provision", time: at(240) } as const
    expect(summary({ ...told, data: { tail: "installing ghc" } })).toBe(
      "demo · provision · 3 min so far · installing ghc"
    )
    expect(summary({ ...told, data: { tail: null } })).toBe("demo · provision · 3 min so far")
    expect(summary({ ...told, time: at(100) })).toBe("demo · provision · 40 s so far")
    expect(summary({ type: "heartbeat", time: at(4200) }, [], sandbox())).toBe(
      "demo · waiting · 1 h 10 min so far"
    )
  })

  it("of a phase, with how long the one before took", () => {
    const note = noteOf(
      sandbox(),
      hub,
      event({ type: "phase", phase: "provision", message: "provision", time: at(75) }),
      [begun, connect]
    )
    expect(note.summary).toBe("demo · provision · connect took 1 min 05 s")
    expect(note.detail).toMatchObject({ previous_phase: "connect", previous_phase_seconds: 65 })
  })

  it("of a phase of one of several builds, which ends none of another's", () => {
    const one = event({ type: "phase", phase: "boot", message: "a: boot", data: { build: "a" }, time: at(5) })
    const other = { type: "phase", phase: "connect", message: "b: connect", time: at(9) } as const
    expect(summary({ ...other, data: { build: "b" } }, [begun, one])).toBe("demo · b: connect")
    expect(summary({ ...other, data: { build: "a" } }, [begun, one])).toBe(
      "demo · b: connect · boot took 4 s"
    )
  })

  it("of an end", () => {
    expect(summary({ type: "ready", message: "ready", time: at(70) }, [begun, connect])).toBe(
      "demo · ready · 1 min 10 s in all · connect took 1 min 00 s"
    )
    expect(summary({ type: "failed", message: "no route to host", time: at(70) }, [begun, connect])).toBe(
      "demo · failed in provision after 1 min 10 s · no route to host"
    )
    expect(
      summary({
        type: "cancelled",
        message: "cancelled: nothing of it runs any more",
        data: { proof: { jobs: 1, killed: 2, left: 0 } }
      })
    ).toBe("demo · cancelled: nothing of it runs any more · 1 job ended, 2 processes killed")
  })

  it.each(["ready", "failed", "cancelled", "retrying"] as const)("of %s, which ends a phase, too", (type) => {
    const note = noteOf(sandbox(), hub, event({ type, time: at(75) }), [begun, connect])
    expect(note.detail).toMatchObject({ previous_phase: "connect", previous_phase_seconds: 65 })
  })

  it("of an artifact", () => {
    expect(
      summary({
        type: "artifact",
        message: "made /a/demo.ova",
        data: { name: "demo.ova", sizeBytes: 3 * 1024 ** 3, sha256: "0123456789abcdef" }
      })
    ).toBe("demo · made demo.ova · 3.0 GiB · sha256 0123456789ab…")
  })

  it("one line of it, whatever was printed", () => {
    expect(summary({ type: "warning", message: "disk\nlow \u001b[31mnow\u001b[0m" })).toBe(
      "demo · warning: disk low now"
    )
    expect([...summary({ message: "x".repeat(5000) })]).toHaveLength(300)
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

describe("which events are told", () => {
  const types = [
    "requested",
    "planned",
    "taken-over",
    "note",
    "phase",
    "warning",
    "artifact",
    "failed",
    "cancelled",
    "destroyed"
  ] as const
  it.each([
    ["none", []],
    ["failures", ["taken-over", "warning", "failed", "cancelled"]],
    ["phases", types.filter((type) => type !== "note")],
    ["all", types]
  ] as const)("%s", (notes, told) => {
    expect(types.filter((type) => isNotified({ ...hub, notes }, event({ type }), undefined))).toEqual(told)
  })

  it("a heartbeat once in a while", () => {
    const told = (seconds: number, last: number | undefined) =>
      isNotified({ ...hub, everySeconds: 60 }, event({ type: "heartbeat", time: at(seconds) }), last)
    expect([told(10, undefined), told(69, 10_000), told(70, 10_000)]).toEqual([true, false, true])
  })
})

import { readFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { ArtifactId } from "../../../src/domain/Artifact.js"
import * as Event from "../../../src/domain/events/Event.js"
import type { Failure } from "../../../src/domain/Failure.js"
import { PhaseName } from "../../../src/domain/Phase.js"
import { SandboxId } from "../../../src/domain/Sandbox.js"
import { plan } from "../../support/inMemory.js"

const failure: Omit<Failure, "reason"> = { message: "", hint: "", logTail: [], runbook: null }
const home = "/home/me/.local/state/sandboxer"

/** Events in the order of the rows in `stored.ndjson`. */
const made: ReadonlyArray<Event.NewEvent> = [
  Event.requested("profile.test"),
  Event.requestedAgain(2, null),
  Event.planned(
    plan({
      mode: "test",
      placement: { host: "local" },
      phases: ["preflight", "provision", "collect"],
      description: ["say something"]
    })
  ),
  Event.queued({
    attempt: 1,
    resource: { key: "name/demo", what: "the name demo", capacity: 1 },
    place: { ahead: 1, first: [{ id: "000000000001", name: "n1" }] }
  }),
  Event.provisioning(1),
  Event.takenOver(1, 2, null),
  Event.takenOver(1, 2, "preflight"),
  Event.phaseEntered({ attempt: 1, phase: "preflight", build: undefined, time: 0 }),
  Event.phaseEntered({ attempt: 1, phase: "create", build: "b.second", time: Date.UTC(2026, 0) }),
  Event.heartbeat({
    occurrence: { attempt: 1, term: 1, at: 30 },
    phase: "boot",
    elapsedSeconds: 30,
    tail: null
  }),
  Event.heartbeat({
    occurrence: { attempt: 1, term: 1, at: 30 },
    phase: null,
    elapsedSeconds: 30,
    tail: "with [redacted]"
  }),
  Event.note({
    attempt: 1,
    key: "synced",
    message: "sent 2 files, deleted 0",
    phase: "sync",
    details: { sent: 2, deleted: 0 }
  }),
  Event.note({ attempt: 1, key: "a", message: "it is [redacted]", phase: "boot" }),
  Event.receiptWritten(1, `${home}/artifacts/project/000000000001/receipt.json`),
  Event.artifactsDeleted,
  Event.warning({
    attempt: 1,
    key: "stall/1/0",
    message: "nothing was printed for 1 min 00 s",
    phase: null
  }),
  Event.leftOut({
    occurrence: { attempt: 1, term: 1, at: 12 },
    type: "warning",
    phase: null,
    message: "9 more were left out, as 60 a minute are kept; the last: w119",
    count: 9
  }),
  Event.artifactMade(1, {
    id: ArtifactId.make("0123456789ab"),
    name: "demo.vmdk",
    path: `${home}/artifacts/demo/000000000001/demo.vmdk`,
    format: "vmdk",
    sizeBytes: 8,
    sha256: "a5df3fde7b200c3fa2791144c7e05c5c2bced4c6ad863d3a4cf76c972c1712f9",
    primary: true
  }),
  Event.ready(1),
  Event.failed(1, {
    ...failure,
    reason: "build-failed",
    message: "it said [redacted]",
    hint: "do not say [redacted]"
  }),
  Event.retrying({
    attempt: 2,
    times: 2,
    failure: { ...failure, reason: "download-failed", message: "it did not come", hint: "look" },
    logPath: `${home}/logs/000000000001.1.log`
  }),
  Event.cancelling(1, null),
  Event.cancelled(1, { jobs: 1, killed: 0, left: 0 }),
  Event.renewed(DateTime.unsafeMake("2026-11-27T19:12:46.873Z"), 3600),
  Event.renewedByUse(DateTime.unsafeMake(0)),
  Event.expired,
  Event.destroying("the workspace /w of demo"),
  Event.destroyed("the workspace /w of demo may be left on elsewhere: kvm1 cannot be reached"),
  Event.destroyed(undefined)
]

const Row = Schema.Struct({ identity: Schema.String, document: Schema.String })

/** Rows of the table `events`, as the version before typed events stored them. */
const rows = readFileSync(new URL("stored.ndjson", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => Schema.decodeUnknownSync(Row)(JSON.parse(line)))

const rowOf = (type: string) =>
  rows.map(({ document }) => JSON.parse(document)).find((document) => document.type === type)

const oldTypes = [
  "requested",
  "planned",
  "queued",
  "provisioning",
  "taken-over",
  "phase",
  "note",
  "warning",
  "heartbeat",
  "artifact",
  "ready",
  "failed",
  "retrying",
  "cancelling",
  "cancelled",
  "renewed",
  "expired",
  "destroying",
  "destroyed"
] as const

/** The schema of that version. */
const OldEvent = Schema.parseJson(
  Schema.Struct({
    id: Schema.String,
    sandboxId: SandboxId,
    seq: Schema.Int,
    time: Schema.DateTimeUtc,
    type: Schema.Literal(...oldTypes),
    phase: Schema.NullOr(PhaseName),
    message: Schema.String,
    percent: Schema.NullOr(Schema.Number),
    etaSeconds: Schema.NullOr(Schema.Number),
    data: Schema.Record({ key: Schema.String, value: Schema.Unknown })
  })
)

const EventJson = Schema.parseJson(Event.Event)
const decode = Schema.decodeUnknownSync(EventJson)
const encode = Schema.encodeSync(EventJson)
const withoutMessage = (document: string) => ({ ...JSON.parse(document), message: "" })

/** The document that the store would write for an event in place of a row. */
const documentLike = (row: string, event: Event.NewEvent) => {
  const { sandboxId, seq, time } = decode(row)
  return encode(Event.numbered(sandboxId, seq, event, DateTime.toUtc(time)))
}

describe.each(rows.map((row, index) => ({ ...row, event: made[index]! })))(
  "a stored event $identity",
  ({ document, event, identity }) => {
    it("is read as its own kind, and written as it was", () => {
      expect(decode(document).type).toBe(JSON.parse(document).type)
      expect(encode(decode(document))).toBe(document)
    })

    it("has the identity that the same event gets today", () => {
      expect(Event.identityOf(event)).toBe(identity)
    })

    it("has the same fields, in the same order, as the same event today", () => {
      const written = documentLike(document, event)
      expect(JSON.stringify(withoutMessage(written))).toBe(JSON.stringify(withoutMessage(document)))
    })

    it("can be read by the version before, as that version would have written it", () => {
      const read = Schema.decodeUnknownSync(OldEvent)(documentLike(document, event))
      expect(withoutMessage(Schema.encodeSync(OldEvent)(read))).toEqual(withoutMessage(document))
    })
  }
)

it("the stored rows have every type that the version before can read", () => {
  expect(new Set(made.map(({ type }) => type))).toEqual(new Set(oldTypes))
})

const stored = (fields: object) =>
  JSON.stringify({
    id: "000000000001-2",
    sandboxId: "000000000001",
    seq: 2,
    time: "2026-01-01T00:00:00.000Z",
    type: "note",
    phase: null,
    message: "it happened",
    percent: null,
    etaSeconds: null,
    data: {},
    ...fields
  })

describe("a stored event of another version", () => {
  it.each([
    ["of an unknown type", { type: "reused", data: { from: "000000000002" } }],
    ["of a known type without the data of that type", { type: "cancelled", data: {} }],
    ["of a known type with other data", { type: "artifact", data: { name: 1, files: ["a"] } }],
    ["in an unknown phase", { type: "phase", phase: "verify" }],
    ["for an unknown reason", { type: "failed", data: { reason: "bored", hint: "" } }],
    ["called other", { type: "other" }]
  ])("%s is read as other, and written as it was", (_, fields) => {
    const document = stored(fields)
    const event = decode(document)
    expect(event).toMatchObject({ ...fields, type: "other", storedType: fields.type })
    expect(Event.typeOf(event)).toBe(fields.type)
    expect(encode(event)).toBe(document)
  })

  it.each([
    ["in its data", { type: "queued", data: { ...rowOf("queued").data, since: 5 } }],
    ["beside its data", { type: "ready", cost: 5 }]
  ])("with a field more %s keeps its kind and the field", (_, fields) => {
    const document = stored(fields)
    const event = decode(document)
    expect(event.type).toBe(fields.type)
    expect(JSON.parse(encode(event))).toEqual(JSON.parse(document))
  })
})

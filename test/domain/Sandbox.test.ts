import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import {
  change,
  expiry,
  hasEnded,
  isLiving,
  Sandbox,
  SandboxId,
  SandboxName,
  SandboxState
} from "../../src/domain/Sandbox.js"

const sandbox = new Sandbox({
  id: SandboxId.make("0123456789ab"),
  name: "demo",
  profile: "profile.demo",
  extension: "ext.demo",
  mode: "build",
  state: "requested",
  placement: { host: "local" },
  inputs: { cpus: 2, password: "env:PASSWORD" },
  createdAt: DateTime.unsafeMake("2024-05-06T07:08:09Z"),
  readyAt: null,
  endedAt: null,
  expiresAt: null,
  ttlSeconds: 3600,
  attempt: 1,
  phase: {
    name: "boot",
    startedAt: DateTime.unsafeMake("2024-05-06T07:09:09Z"),
    percent: null,
    etaSeconds: null
  },
  artifacts: [],
  endpoint: null,
  failure: null,
  logPath: null
})

describe("states", () => {
  it("are grouped into those that hold the name and those after the provision", () => {
    expect(SandboxState.literals.filter(isLiving)).toEqual([
      "requested",
      "provisioning",
      "ready",
      "destroying"
    ])
    expect(SandboxState.literals.filter(hasEnded)).toEqual([
      "ready",
      "destroying",
      "destroyed",
      "failed",
      "cancelled"
    ])
  })
})

describe("a sandbox", () => {
  it("is encoded with UTC times and decoded again", () => {
    const written = Schema.encodeSync(Sandbox)(sandbox)
    expect(written).toMatchObject({ createdAt: "2024-05-06T07:08:09.000Z", phase: { name: "boot" } })
    expect(Schema.decodeSync(Sandbox)(written)).toEqual(sandbox)
  })

  it("changes only the given fields", () => {
    const ready = change(sandbox, { state: "ready", phase: null })
    expect(ready).toBeInstanceOf(Sandbox)
    expect(ready).toMatchObject({ id: sandbox.id, state: "ready", phase: null })
    expect(sandbox.state).toBe("requested")
  })

  it("expires a fixed time after it is ready, or never", () => {
    const since = DateTime.unsafeMake("2024-05-06T07:08:09Z")
    expect(expiry(since, 3600)).toEqual(DateTime.unsafeMake("2024-05-06T08:08:09Z"))
    expect(expiry(since, null)).toBeNull()
  })
})

describe("ids and names", () => {
  it("accept only their alphabets", () => {
    const isId = Schema.is(SandboxId)
    expect(
      ["0123456789ab", "0123456789AB", "0123456789a", "0123456789abc", "../../../../"].map(isId)
    ).toEqual([true, false, false, false, false])
    const isName = Schema.is(SandboxName)
    expect(
      ["demo-2", "a.b_c", "", "-demo", "../x", "a b", "x".repeat(80), "x".repeat(81)].map(isName)
    ).toEqual([true, true, false, false, false, false, true, false])
  })
})

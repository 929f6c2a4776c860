import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { isForward, order, type PhaseName, phases } from "../../src/domain/Phase.js"

const build: ReadonlyArray<PhaseName> = [
  "queue",
  "preflight",
  "prepare",
  "fetch",
  "create",
  "boot",
  "connect",
  "provision",
  "shutdown",
  "export",
  "post-process",
  "collect",
  "package"
]
const attach: ReadonlyArray<PhaseName> = [
  "queue",
  "preflight",
  "reach",
  "workspace",
  "sync",
  "run",
  "collect"
]

describe.each([
  ["build", build],
  ["attach", attach]
])("the phases of %s", (_, names) => {
  it("only move forward in their order", () => {
    for (const [at, from] of names.entries()) {
      expect(names.filter((to) => isForward(from, to))).toEqual(names.slice(at + 1))
    }
  })
})

describe("phases", () => {
  it("of a build have the order in which they happen", () => {
    expect([...build].reverse().sort(order)).toEqual(build)
  })

  it("never move forward in both directions", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom(...phases),
        FastCheck.constantFrom(...phases),
        (a, b) => !(isForward(a, b) && isForward(b, a))
      )
    )
  })
})

import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { openApi } from "../../../src/hub/server/HubApi.js"
import { root } from "../../support/documents.js"
import { makeHub } from "./hub.js"

it.scoped("docs/state-hub.openapi.json is what the hub serves and what `make docs` writes", () =>
  Effect.gen(function* () {
    const served = yield* Effect.flatMap(makeHub(), (hub) => hub.ask("/openapi.json"))
    const written: unknown = JSON.parse(readFileSync(join(root, "docs/state-hub.openapi.json"), "utf8"))
    expect(served.json()).toEqual(written)
  })
)

it("has no broken reference", () => {
  const text = JSON.stringify(openApi())
  const { schemas } = openApi().components
  const names = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name = ""]) => name)
  expect(names.filter((name) => !Object.hasOwn(schemas, name))).toEqual([])
  // A hub lets fields pass that it does not know.
  expect(JSON.stringify(schemas.Note)).toContain('"additionalProperties":true')
})

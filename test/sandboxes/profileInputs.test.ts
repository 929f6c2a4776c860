import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { InputLocations, InputValues } from "../../src/domain/Input.js"
import type { Extension, PlanRequest } from "../../src/recipe/Extension.js"
import { manager } from "./manager.js"

/** An extension that keeps what its mode is to plan from. */
const recording = (requests: Array<PlanRequest>): Extension => ({
  id: "ext.test",
  description: "An extension of a test",
  modes: {
    make: {
      description: "Makes nothing",
      inputs: { template: { type: "path" }, other: { type: "path" }, files: { type: "list", items: "path" } },
      plan: (request) =>
        Effect.sync(() => {
          requests.push(request)
          return { encoded: {}, description: [], defaultName: undefined }
        }),
      provision: () => Effect.succeed({ artifacts: [], endpoint: null })
    }
  }
})

const base = `id: profile.base
extension: ext.test
inputs:
  template: { default: ./template.json }
  files: { default: [a.hcl] }
prepare: { command: [./make.sh], inputs: [make.sh], produces: base, variable: base }
`
const child = `id: profile.child
extends: profile.base
inputs:
  files: { default: [b.hcl] }
prepare: { produces: other }
`

/** What profile.child, or another one of that name, is planned from. */
const planned = (given: InputValues, text = child, inputLocations: InputLocations = {}) =>
  Effect.gen(function* () {
    const requests: Array<PlanRequest> = []
    const made = yield* manager(recording(requests), {
      "base/profile.yaml": base,
      "child/profile.yaml": text
    })
    const plan = yield* Effect.either(
      made.sandboxes.plan({
        profile: "child",
        inputs: given,
        inputLocations,
        environment: {},
        workingDirectory: "/given"
      })
    )
    return { folder: made.folder, plan, request: requests[0] }
  })

describe("relative paths in inputs", () => {
  it.scoped("of a profile start from the profile's file", () =>
    Effect.gen(function* () {
      const { folder, request } = yield* planned({})
      expect(request?.inputs).toEqual({
        template: `${folder}/base/template.json`,
        files: [`${folder}/child/b.hcl`]
      })
      expect(request?.profileFolder).toBe(`${folder}/base`)
      expect(request?.prepare).toMatchObject({ inputs: ["make.sh"], produces: "other" })
    })
  )

  it.scoped("of a request start from their document, else from the working directory", () =>
    Effect.gen(function* () {
      const location = { file: "/inputs/of/mine.yaml", line: 1, column: 1 }
      const { request } = yield* planned(
        { template: "./a.json", other: "./b.json", files: ["c.hcl"] },
        child,
        { template: location }
      )
      expect(request?.inputs).toEqual({
        template: "/inputs/of/a.json",
        other: "/given/b.json",
        files: ["/given/c.hcl"]
      })
    })
  )
})

describe("a profile's inputs", () => {
  it.scoped("that the extension does not have are refused with their place", () =>
    Effect.gen(function* () {
      const text = "id: profile.child\nextends: profile.base\ninputs:\n  tmeplate: { default: x }\n"
      const { folder, plan, request } = yield* planned({}, text)
      expect(request).toBeUndefined()
      expect(plan).toMatchObject({
        _tag: "Left",
        left: {
          _tag: "UsageError",
          reason: "profile",
          message: "ext.test has no input tmeplate",
          hint: "did you mean template?",
          location: { file: `${folder}/child/profile.yaml`, line: 4, column: 3 }
        }
      })
    })
  )
})

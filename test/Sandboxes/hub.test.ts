import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { CreateRequest } from "../../src/Sandboxes.js"
import { extensionOf } from "../inMemory.js"
import { manager } from "./manager.js"

const head = "id: profile.demo\nextension: ext.test\nmode: test\n"

const planned = (profile: string, request: Partial<CreateRequest> = {}) =>
  Effect.gen(function* () {
    const { sandboxes } = yield* manager(extensionOf(Effect.void), { "demo.yaml": `${head}${profile}` })
    const { hub } = yield* sandboxes.plan({
      profile: "demo",
      inputs: {},
      environment: {},
      workingDirectory: "/",
      ...request
    })
    return hub
  })

const profile = "hub: { workstream: of-profile, task: of-profile, notes: failures, every: 5 minutes }\n"
const environment = { SANDBOXER_WORKSTREAM: "of-environment", SANDBOXER_TASK: "" }

describe("what a State Hub is told of a sandbox", () => {
  it.scoped("is phases, and a heartbeat a minute", () =>
    Effect.map(planned(""), (hub) =>
      expect(hub).toEqual({ workstream: null, task: null, notes: "phases", everySeconds: 60 })
    )
  )

  it.scoped("is what the profile says", () =>
    Effect.map(planned(profile), (hub) =>
      expect(hub).toEqual({
        workstream: "of-profile",
        task: "of-profile",
        notes: "failures",
        everySeconds: 300
      })
    )
  )

  it.scoped("is filed under what the environment says, where that says something", () =>
    Effect.map(planned(profile, { environment }), (hub) =>
      expect(hub).toMatchObject({ workstream: "of-environment", task: "of-profile" })
    )
  )

  it.scoped("is filed under what is given, whatever else is said", () =>
    Effect.map(planned(profile, { environment, workstream: "given", task: "given" }), (hub) =>
      expect(hub).toMatchObject({ workstream: "given", task: "given" })
    )
  )
})

import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { failed } from "../../src/domain/events/Event.js"
import { deliver } from "../../src/hub/client/Delivery.js"
import type { CreateRequest } from "../../src/sandboxes/Sandboxes.js"
import { extensionOf } from "../support/inMemory.js"
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

describe("notes of a sandbox", () => {
  it.scoped("are phases, and one heartbeat a minute", () =>
    Effect.map(planned(""), (hub) =>
      expect(hub).toEqual({ workstream: null, task: null, notes: "phases", everySeconds: 60 })
    )
  )

  it.scoped("are what the profile selects", () =>
    Effect.map(planned(profile), (hub) =>
      expect(hub).toEqual({
        workstream: "of-profile",
        task: "of-profile",
        notes: "failures",
        everySeconds: 300
      })
    )
  )

  it.scoped("have the workstream and task of the environment, if it sets them", () =>
    Effect.map(planned(profile, { environment }), (hub) =>
      expect(hub).toMatchObject({ workstream: "of-environment", task: "of-profile" })
    )
  )

  it.scoped("have the plan once, with the first note", () =>
    Effect.gen(function* () {
      const extension = extensionOf(Effect.void)
      const planning = {
        ...extension,
        modes: {
          test: {
            ...extension.modes.test!,
            plan: () =>
              Effect.succeed({
                encoded: {},
                description: ["say something"],
                defaultName: undefined,
                phases: ["preflight", "provision", "collect"] as const
              })
          }
        }
      }
      const { notes, sandboxes, services, store } = yield* manager(planning, { "demo.yaml": head })
      const request = { profile: "demo", inputs: {}, environment: {}, workingDirectory: "/" }
      const { id } = yield* sandboxes.create(request)
      yield* Effect.provide(deliver(), services(1))
      expect(yield* notes).toMatchObject([
        { event_type: "requested", sequence: 1, summary: "demo · requested from profile.demo" },
        {
          event_type: "planned",
          sequence: 2,
          summary: "demo · planned: test on local, preflight to collect",
          detail: {
            mode: "test",
            host: "local",
            phases: ["preflight", "provision", "collect"],
            steps: ["say something"]
          }
        }
      ])
      // It is the same for each attempt.
      const failure = { reason: "internal", message: "", hint: "", logTail: [], runbook: null } as const
      yield* store.transition(id, ["requested"], { state: "failed" }, failed(1, failure))
      yield* sandboxes.retry(id, { environment: {} })
      const types = (yield* sandboxes.events(id, 0)).map(({ type }) => type)
      expect(types).toEqual(["requested", "planned", "failed", "requested"])
    })
  )

  it.scoped("have the workstream and task of the request, whatever else is set", () =>
    Effect.map(planned(profile, { environment, workstream: "given", task: "given" }), (hub) =>
      expect(hub).toMatchObject({ workstream: "given", task: "given" })
    )
  )

  it.scoped("have no workstream or task if the request sets them to nothing", () =>
    Effect.map(planned(profile, { environment, workstream: "", task: "" }), (hub) =>
      expect(hub).toMatchObject({ workstream: null, task: null })
    )
  )
})

/** What `hub` says of a hub that is away, without waiting for it. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { HubError, StateHub } from "../../src/hub/client/StateHub.js"
import { PackerScripted } from "../../src/testing.js"
import { passTimeUntil } from "../support/inMemory.js"
import { commandLine } from "./commandLine.js"

const away = Layer.succeed(StateHub, {
  target: "http://hub.example/progress",
  warning: "the token goes in clear",
  publish: () => new HubError({ reason: "unavailable", message: "hub.example answers 500", hint: "" })
})

it.scoped("hub flush retries for 30 s and exits with 14 if the hub cannot be reached", () =>
  Effect.gen(function* () {
    const script = PackerScripted.building({ qemu: { "output/demo": "an image" } })
    const { sandboxer } = yield* commandLine(script, { stateHub: away })
    const run = (...words: ReadonlyArray<string>) =>
      Effect.flatMap(Effect.fork(sandboxer(...words)), passTimeUntil)
    const created = yield* run("create", "-p", "demo", "-o", "json")
    expect(created.exitCode).toBe(0)
    expect(created.stderr).toContain("warning: the token goes in clear\n")
    const begun = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const { exitCode, stderr } = yield* run("hub", "flush")
    const ended = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    expect(exitCode).toBe(14)
    expect(stderr).toMatch(
      /^warning: the token goes in clear\nerror: \d+ notes wait: hub\.example answers 500\nhint: they are delivered once it can be reached\n$/
    )
    expect((ended - begun) / 1000).toBeGreaterThanOrEqual(29)
    expect((ended - begun) / 1000).toBeLessThanOrEqual(31)
    const status = JSON.parse((yield* run("hub", "status", "-o", "json")).stdout)
    expect(status).toMatchObject({ hub: "http://hub.example/progress", warning: "the token goes in clear" })
    expect((yield* run("hub", "status")).stdout).toMatch(/^warning +the token goes in clear$/m)
  })
)

import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as TestClock from "effect/TestClock"
import { Host } from "../../src/hosts/Host.js"
import * as Outages from "../../src/provisioning/ConnectionMonitor.js"
import { Provision } from "../../src/recipe/Provision.js"
import { Reporter } from "../../src/recipe/Reporter.js"
import { HostMemory } from "../../src/testing.js"
import { id, plan, platform } from "../support/inMemory.js"

/** A host whose connection comes and goes, and what is said of it. */
const watched = Effect.gen(function* () {
  const link = yield* SubscriptionRef.make(true)
  const host = yield* HostMemory.make({
    name: "kvm1",
    becomes: (connected) =>
      link.changes.pipe(
        Stream.filter((now) => now === connected),
        Stream.take(1),
        Stream.runDrain
      )
  })
  const said: Array<readonly [type: string, key: string, message: string]> = []
  const say = (type: string) => (key: string, message: string) =>
    Effect.sync(() => void said.push([type, key, message]))
  const fiber = yield* Effect.fork(
    Effect.provide(
      Outages.reportOutages,
      Layer.mergeAll(
        Layer.succeed(Host, host),
        Layer.succeed(Provision, { id: id(1), attempt: 1, term: 2, plan: plan(), secrets: {} }),
        Layer.mock(Reporter, { redact: (text) => text, note: say("note"), warning: say("warning") })
      )
    )
  )
  return {
    said,
    fiber,
    becomes: (connected: boolean, forSeconds: number) =>
      Effect.zipRight(SubscriptionRef.set(link, connected), TestClock.adjust(`${forSeconds} seconds`))
  }
}).pipe(Effect.provide(platform))

describe("a host whose connection is lost", () => {
  it.scoped("is reported once for each outage, and again when it is back; the provision continues", () =>
    Effect.gen(function* () {
      const { becomes, fiber, said } = yield* watched
      yield* becomes(true, 5)
      expect(said).toEqual([])
      for (const outage of [1, 2]) {
        yield* becomes(false, 5)
        yield* becomes(false, 30)
        yield* becomes(true, 5)
        expect(said.splice(0)).toEqual([
          [
            "warning",
            `link-lost/2.${outage}`,
            "lost the connection to kvm1; what runs there continues; reconnecting"
          ],
          ["note", `link-back/2.${outage}`, "reconnected to kvm1"]
        ])
      }
      expect((yield* Fiber.poll(fiber))._tag).toBe("None")
    })
  )

  it.scoped("is not reported if the connection is back at once", () =>
    Effect.gen(function* () {
      const { becomes, said } = yield* watched
      yield* becomes(true, 5)
      yield* becomes(false, 0.5)
      yield* becomes(true, 5)
      expect(said).toEqual([])
    })
  )
})

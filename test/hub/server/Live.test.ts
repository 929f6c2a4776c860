import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { makeHub, makeReader, note, notes } from "./hub.js"

describe("GET /notes/stream", () => {
  it.scoped("begins with new notes, or after a position", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      yield* hub.post(notes(1, 3))
      const live = makeReader(yield* hub.open("/notes/stream"))
      const behind = makeReader(yield* hub.open("/notes/stream?cursor=1"))
      const again = makeReader(
        yield* hub.open("/notes/stream?cursor=1", { headers: { "last-event-id": "2" } })
      )
      const ofAnother = makeReader(yield* hub.open("/notes/stream", { headers: { "last-event-id": "77" } }))
      yield* hub.post(notes(3, 4))
      const seen = (reader: typeof live, count: number) =>
        Effect.map(reader.events(count), (events) =>
          events.map(({ data, id }) => [id, data.position, data.id])
        )
      // The third one, which was sent again, uses a position up.
      const [two, three, four] = [
        ["2", 2, "tiny-2"],
        ["3", 3, "tiny-3"],
        ["5", 5, "tiny-4"]
      ]
      expect(yield* seen(live, 1)).toEqual([four])
      expect(yield* seen(behind, 3)).toEqual([two, three, four])
      expect(yield* seen(again, 2)).toEqual([three, four])
      expect(yield* seen(ofAnother, 4)).toEqual([["1", 1, "tiny-1"], two, three, four])
    })
  )

  it.scoped("misses nothing when many notes wait", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      yield* hub.post(notes(1, 501))
      const events = yield* makeReader(yield* hub.open("/notes/stream?cursor=0")).events(501)
      expect(events.map(({ data }) => data.id)).toEqual(notes(1, 501).map(({ id }) => id))
    })
  )

  it.scoped("sends only notes that match the filter", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      const reader = makeReader(yield* hub.open("/notes/stream?sandbox=other"))
      yield* hub.post(notes(1, 300))
      yield* hub.post(note(301, { sandbox_id: "other" }))
      expect((yield* reader.events(1)).map(({ data }) => data.id)).toEqual(["tiny-301"])
    })
  )

  it.scoped("sends keep-alives while nothing happens, and ends with the hub", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      const answer = yield* hub.open("/notes/stream")
      expect(answer.headers.get("content-type")).toBe("text/event-stream")
      const rest = yield* Effect.fork(makeReader(answer).rest)
      // It reads the store first, and then waits.
      yield* Effect.repeatN(Effect.yieldNow(), 100)
      yield* TestClock.adjust(Duration.seconds(45))
      yield* hub.close
      expect((yield* Fiber.join(rest)).match(/^: $/gm)?.length).toBeGreaterThanOrEqual(2)
    })
  )

  it.scoped("accepts at most a hundred streams at a time", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      const readers = yield* Effect.replicateEffect(
        Effect.map(hub.open("/notes/stream?cursor=0"), makeReader),
        100
      )
      yield* hub.post(note(1))
      yield* Effect.forEach(readers, (reader) => reader.events(1))
      const refused = yield* hub.ask("/notes/stream")
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "10"])
      expect((yield* hub.ask("/metrics")).text).toContain("\nsandboxer_hub_streams_open 100\n")
      yield* hub.close
      yield* Effect.forEach(readers, (reader) => reader.rest)
      expect((yield* hub.ask("/metrics")).text).toContain("\nsandboxer_hub_streams_open 0\n")
    })
  )
})

import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { idsOf, makeHub, note } from "./hub.js"

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

describe("access to the hub", () => {
  it.scoped("requires the token, if there is one", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub({ token: "secret", loopback: false })
      for (const path of ["/notes", "/notes/stream", "/metrics"]) {
        for (const init of [{}, bearer("secret2"), bearer("secre"), bearer(""), bearer("é")]) {
          const answer = yield* hub.ask(path, init)
          expect([path, answer.status, answer.headers.get("www-authenticate")]).toEqual([path, 401, "Bearer"])
        }
      }
      expect((yield* hub.post(note(1))).status).toBe(401)
      expect((yield* hub.post(note(1), bearer("secret").headers)).status).toBe(200)
      expect(idsOf(yield* hub.ask("/notes", bearer("secret")))).toEqual(["tiny-1"])
      for (const path of ["/", "/health", "/openapi.json"]) expect((yield* hub.ask(path)).status).toBe(200)
    })
  )

  it.scoped("requires a host name of this machine, while the hub is on loopback", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      const status = (host: string) =>
        Effect.map(hub.ask("/notes", { headers: { host } }), (one) => one.status)
      for (const host of ["localhost:1", "LOCALHOST", "127.0.0.1:8787", "127.9.9.9", "[::1]:8787"]) {
        expect([host, yield* status(host)]).toEqual([host, 200])
      }
      const others = [
        "",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8787",
        "10.0.0.1",
        "a@b c"
      ]
      for (const host of others) expect([host, yield* status(host)]).toEqual([host, 403])
      const remote = yield* makeHub({ token: "t", loopback: false })
      const { headers } = bearer("t")
      expect((yield* remote.ask("/notes", { headers: { ...headers, host: "hub.example" } })).status).toBe(200)
    })
  )

  it.scoped("is refused to pages of other sites", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      expect((yield* hub.post(note(1), { origin: "https://evil.example" })).status).toBe(403)
      expect((yield* hub.post(note(1), { origin: "null" })).status).toBe(403)
      expect((yield* hub.post(note(1), { origin: "http://127.0.0.1:8787" })).status).toBe(200)
      const preflight = yield* hub.ask("/progress", {
        method: "OPTIONS",
        headers: { origin: "https://evil.example" }
      })
      expect(preflight.headers.get("access-control-allow-origin")).toBe(null)
    })
  )

  it.scoped("is limited in frequency", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      yield* Effect.replicateEffect(hub.ask("/health"), 1000, { discard: true })
      const refused = yield* hub.ask("/health")
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"])
      yield* TestClock.adjust(Duration.millis(5))
      expect((yield* hub.ask("/health")).status).toBe(200)
      expect((yield* hub.ask("/health")).status).toBe(429)
    })
  )
})

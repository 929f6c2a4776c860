import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { mostBytes } from "../../../src/hub/server/HubApi.js"
import { HubStoreError } from "../../../src/hub/server/HubStore.js"
import { type Answer, idsOf, makeHub, makeReader, makeWith, memoryStore, note, notes } from "./hub.js"

describe("POST /progress", () => {
  it.scoped("accepts one or several notes, each once", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      expect((yield* hub.post(note(1), { "idempotency-key": "tiny-1" })).json()).toEqual({
        taken: 1,
        doubles: 0
      })
      expect((yield* hub.post([note(1), note(2), note(2)])).json()).toEqual({ taken: 1, doubles: 2 })
      expect((yield* hub.post([])).json()).toEqual({ taken: 0, doubles: 0 })
      const kept = (yield* hub.ask("/notes")).json()
      // What is known already uses a position up.
      expect(kept.items).toEqual([
        { position: 1, received_at: "1970-01-01T00:00:00.000Z", ...note(1) },
        { position: 3, received_at: "1970-01-01T00:00:00.000Z", ...note(2) }
      ])
      expect(kept.next).toBe(null)
    })
  )

  it.scoped("ignores unknown fields and does not store them", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      expect((yield* hub.post({ ...note(1), colour: "red" })).status).toBe(200)
      expect((yield* hub.ask("/notes")).text).not.toContain("colour")
    })
  )

  it.scoped("rejects the whole request and names the wrong note", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      const answer = yield* hub.post([note(1), { ...note(2), sequence: "2", percent: "much" }])
      expect(answer.status).toBe(400)
      expect(answer.json()).toMatchObject({
        _tag: "NoNotes",
        message: 'note 1 is none: sequence: Expected number, actual "2"',
        issues: [
          { index: 1, path: "sequence" },
          { index: 1, path: "percent" },
          { index: 1, path: "percent" }
        ]
      })
      expect(idsOf(yield* hub.ask("/notes"))).toEqual([])
    })
  )

  it.scoped.each<readonly [string, unknown, string]>([
    ["no JSON", "{", "no JSON"],
    ["an empty body", "", "no JSON"],
    ["bytes that are no UTF-8", new Uint8Array([34, 255, 34]), "no JSON"],
    ["null", "null", "note 0"],
    ["an array of arrays", [[note(1)]], "note 0"],
    ["another source", { ...note(1), source: "me" }, "source"],
    ["an empty id", note(1, { id: "" }), "id"],
    ["an id that fits into no header", note(1, { id: "a\nb" }), "id"],
    ["a time that is none", note(1, { occurred_at: "yesterday" }), "occurred_at: Expected an RFC 3339 time"],
    ["a day that is none", note(1, { occurred_at: "2026-13-01T00:00:00Z" }), "occurred_at"],
    ["a field that is missing", { ...note(1), detail: undefined }, "detail: is missing"],
    [
      "what is nested without an end",
      `${JSON.stringify(note(1)).slice(0, -3)}{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}}`,
      "detail: Expected no more than 64 levels"
    ]
  ])("refuses %s", ([, body, why]) =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      const answer =
        body instanceof Uint8Array
          ? yield* hub.ask("/progress", {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: new Uint8Array(body)
            })
          : yield* hub.post(body)
      expect(answer.status).toBe(400)
      expect(answer.json().message).toContain(why)
      expect(answer.text.length).toBeLessThan(3000)
    })
  )

  it.scoped("reports only the first few of ten thousand mistakes", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      const answer = yield* hub.post(Array.from({ length: 1000 }, () => ({ id: "x".repeat(900) })))
      expect(answer.status).toBe(400)
      expect(answer.json().issues).toHaveLength(20)
      expect(answer.text.length).toBeLessThan(10_000)
    })
  )

  it.scoped("rejects too many notes and too many bytes", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      expect((yield* hub.post(notes(1, 1000))).json()).toEqual({ taken: 1000, doubles: 0 })
      expect(yield* hub.post(notes(1, 1001))).toMatchObject({ status: 413 })
      const large = note(0, { summary: "x".repeat(mostBytes) })
      expect(yield* hub.post(large)).toMatchObject({ status: 413 })
    })
  )

  it.scoped.each([
    ["text/plain", {}],
    ["application/x-www-form-urlencoded", {}],
    ["application/json-not", {}],
    ["application/json", { "content-encoding": "gzip" }]
  ] as const)("rejects %s %o", ([type, headers]) =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      expect((yield* hub.post(note(1), { "content-type": type, ...headers })).status).toBe(415)
      expect((yield* hub.post(note(1), { "content-type": "Application/JSON; charset=utf-8" })).status).toBe(
        200
      )
    })
  )
})

describe("GET /notes", () => {
  it.scoped("returns pages in both orders that miss and repeat nothing", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      yield* hub.post(notes(1, 25))
      const all = (order: string) =>
        Effect.gen(function* () {
          const found: Array<string> = []
          let cursor: number | null = null
          do {
            const page: Answer = yield* hub.ask(
              `/notes?limit=10&order=${order}${cursor === null ? "" : `&cursor=${cursor}`}`
            )
            found.push(...idsOf(page))
            cursor = page.json().next
          } while (cursor !== null)
          return found
        })
      const wanted = notes(1, 25).map(({ id }) => id)
      expect(yield* all("oldest")).toEqual(wanted)
      expect(yield* all("newest")).toEqual(wanted.toReversed())
      expect((yield* hub.ask("/notes?limit=25")).json().next).toBe(null)
    })
  )

  it.scoped("filters by workstream, task, sandbox, type and time", () =>
    Effect.gen(function* () {
      const hub = yield* makeHub()
      yield* hub.post([
        note(1, { workstream_id: "w&=%" }),
        note(2, { task_id: "t" }),
        note(3, { sandbox_id: "other" }),
        note(4, { event_type: "failed" }),
        note(5, { occurred_at: "2026-01-01T02:00:05+02:00" })
      ])
      const found = (query: string) => Effect.map(hub.ask(`/notes?${query}`), idsOf)
      expect(yield* found(`workstream=${encodeURIComponent("w&=%")}`)).toEqual(["tiny-1"])
      expect(yield* found("task=t")).toEqual(["tiny-2"])
      expect(yield* found("sandbox=other")).toEqual(["tiny-3"])
      expect(yield* found("event_type=failed&sandbox=tiny")).toEqual(["tiny-4"])
      expect(yield* found("since=2026-01-01T00:00:02Z&until=2026-01-01T00:00:04Z")).toEqual([
        "tiny-2",
        "tiny-3"
      ])
      expect(yield* found("since=2026-01-01T00:00:05Z")).toEqual(["tiny-5"])
    })
  )

  it.scoped.each([
    "limit=0",
    "limit=1001",
    "limit=1e3",
    "cursor=-1",
    "cursor=99999999999999999999",
    "order=any",
    "since=today",
    "sandbx=a",
    "sandbox=a&sandbox=b"
  ])("rejects ?%s", (query) =>
    Effect.gen(function* () {
      const answer = yield* Effect.flatMap(makeHub(), (hub) => hub.ask(`/notes?${query}`))
      expect(answer.status).toBe(400)
      expect(answer.json().issues[0].path).toEqual([query.split("=")[0]])
    })
  )
})

describe("hostile text in a note", () => {
  const nasty = [
    "\u0085\u2028\u2029\r\n\r\ndata: forged\n\nid: 99\n",
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    '"} 1\nsandboxer_hub_notes 999999\n# HELP',
    "\u001b[2J\u001b]0;owned\u0007",
    "\ud800 \u0000 \u202e",
    "'; DROP TABLE notes; --"
  ]
  const hostile = nasty.map((text, index) =>
    note(index + 1, {
      event_type: text,
      summary: text,
      workstream_id: text,
      task_id: text,
      sandbox_id: text,
      phase: text,
      author: text,
      detail: { [text]: text, nested: [[{ [text]: null }]] }
    })
  )

  it.scoped("breaks neither pages, streams, metrics nor the log", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.map(Logger.logfmtLogger, (line) => void logged.push(line))
      yield* Effect.gen(function* () {
        const hub = yield* makeHub()
        const reader = makeReader(yield* hub.open("/notes/stream"))
        const before = (yield* hub.ask("/metrics")).text
        expect((yield* hub.post(hostile)).json()).toEqual({ taken: hostile.length, doubles: 0 })
        expect((yield* hub.ask("/notes")).json().items).toMatchObject(hostile)
        expect((yield* reader.events(hostile.length)).map(({ data }) => data)).toMatchObject(hostile)
        for (const text of nasty.slice(0, 4)) {
          yield* hub.ask(`/notes?sandbox=${encodeURIComponent(text)}`)
          yield* hub.ask(`/${encodeURIComponent(text)}`)
          yield* hub.ask("/notes", { method: "DELETE" })
        }
        const after = (yield* hub.ask("/metrics")).text
        const shape =
          /^(?:# (?:HELP|TYPE) [a-z_]+ [ -~]+|[a-z_]+(?:\{(?:[a-z]+="[A-Za-z0-9 ./-]+",?)+\})? \d+)$/
        expect(
          after
            .trimEnd()
            .split("\n")
            .filter((line) => !shape.test(line))
        ).toEqual([])
        expect(after.split("\n").length - before.split("\n").length).toBeLessThan(6)
        expect((yield* hub.ask("/")).text).not.toContain("owned")
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      expect(logged.filter((line) => /\p{Cc}|owned|alert/u.test(line))).toEqual([])
    })
  )
})

it.scoped("the page has no inline code and loads nothing from elsewhere", () =>
  Effect.gen(function* () {
    const page = yield* Effect.flatMap(makeHub(), (hub) => hub.ask("/"))
    const policy = page.headers.get("content-security-policy") ?? ""
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("connect-src 'self'")
    expect(policy).not.toContain("unsafe")
    expect(page.text).not.toMatch(/innerHTML|outerHTML|insertAdjacent|document\.write|eval|https?:/)
    // The policy names each block that there is.
    for (const [, text = ""] of page.text.matchAll(/<(?:script type="module"|style)>([\s\S]*?)<\//g)) {
      const bytes = yield* Effect.promise(() =>
        crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
      )
      expect(policy).toContain(`'sha256-${Buffer.from(bytes).toString("base64")}'`)
    }
  })
)

it.scoped("a database failure is answered with 503 and no details", () =>
  Effect.gen(function* () {
    const failure = new HubStoreError({ reason: "not-writable", message: "/secret/path is full", hint: "h" })
    const broken = Effect.map(memoryStore, (store) => ({
      ...store,
      take: () => failure,
      newest: failure
    }))
    const logged: Array<string> = []
    const logger = Logger.map(Logger.logfmtLogger, (line) => void logged.push(line))
    yield* Effect.gen(function* () {
      const hub = yield* makeWith(broken)
      for (const answer of [
        yield* hub.post(note(1)),
        yield* hub.ask("/health"),
        yield* hub.ask("/notes/stream")
      ]) {
        expect(answer.status).toBe(503)
        expect(answer.text).not.toContain("secret")
      }
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    expect(logged.join("\n")).toContain("/secret/path is full (h)")
  })
)

it.scoped("metrics count the requests", () =>
  Effect.gen(function* () {
    const hub = yield* makeHub()
    yield* hub.post(notes(1, 3))
    yield* hub.post([note(3), note(4)])
    yield* hub.post("nonsense")
    yield* hub.ask("/nothing/of/this/name")
    const { headers, text } = yield* hub.ask("/metrics")
    expect(headers.get("content-type")).toBe("text/plain; version=0.0.4")
    for (const sample of [
      "notes_taken_total 4",
      "notes_doubled_total 1",
      "notes 4",
      'progress_refused_total{reason="not-a-note"} 1',
      'progress_refused_total{reason="too-large"} 0',
      'requests_total{route="POST /progress",status="200"} 2',
      'requests_total{route="other",status="404"} 1'
    ]) {
      expect(text).toContain(`\nsandboxer_hub_${sample}\n`)
    }
    expect(text).toMatch(/\nsandboxer_hub_database_bytes [1-9]\d*\n/)
  })
)

it.scoped("unknown paths are not found", () =>
  Effect.gen(function* () {
    const answer = yield* Effect.flatMap(makeHub(), (hub) => hub.ask("/nothing"))
    expect([answer.status, answer.json()._tag]).toEqual([404, "NotFound"])
  })
)

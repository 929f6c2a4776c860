/** A State Hub over HTTP, against a server of this process that answers as it is told. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { numbered } from "../../../src/domain/events/Event.js"
import { noteOf } from "../../../src/domain/Note.js"
import { layer } from "../../../src/hub/client/http/StateHubHttp.js"
import { StateHub } from "../../../src/hub/client/StateHub.js"
import type { HubSettings } from "../../../src/settings/HubSettings.js"
import { layerHome } from "../../../src/settings/Settings.js"
import { id, note, plan, platform, sandbox } from "../../support/inMemory.js"
import { timeLimit } from "../../support/patience.js"

let server: Server
let origin = ""
const folder = mkdtempSync(join(tmpdir(), "sandboxer-test-"))
let requests: Array<{ readonly request: IncomingMessage; readonly body: unknown }> = []
let answer: (response: ServerResponse) => void

beforeAll(async () => {
  server = createServer((request, response) => {
    let text = ""
    request.setEncoding("utf8").on("data", (piece: string) => {
      text += piece
    })
    request.on("end", () => {
      requests.push({ request, body: JSON.parse(text) })
      answer(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  requests = []
  answer = (response) => response.end()
})

const noteOfEvent = (seq: number) =>
  noteOf(
    sandbox(),
    plan({ hub: { workstream: "w", task: null, notes: "all", everySeconds: 0 } }).hub,
    numbered(id(1), seq, note(`note ${seq}`), DateTime.unsafeMake(0)),
    []
  )

const publish = (notes: ReadonlyArray<number>, hub: Partial<HubSettings> = {}) =>
  Effect.flatMap(StateHub, (stateHub) => stateHub.publish(notes.map(noteOfEvent))).pipe(
    Effect.provide(
      layer.pipe(
        Layer.provide(
          layerHome(folder, {
            hub: {
              url: origin,
              endpoint: `${origin}/progress`,
              fields: {},
              token: undefined,
              tokenFile: undefined,
              ...hub
            }
          })
        ),
        Layer.provide(platform)
      )
    )
  )

describe("a request to the hub", () => {
  it.live("is one object with its key, or an array", () =>
    Effect.gen(function* () {
      yield* publish([1], { token: Redacted.make("secret") })
      yield* publish([2, 3])
      const [one, two] = requests
      expect(one?.request).toMatchObject({ method: "POST", url: "/progress" })
      expect(one?.request.headers).toMatchObject({
        authorization: "Bearer secret",
        "content-type": "application/json",
        "idempotency-key": `${id(1)}-1`
      })
      expect(one?.body).toEqual({
        id: `${id(1)}-1`,
        occurred_at: "1970-01-01T00:00:00.000Z",
        source: "sandboxer",
        event_type: "note",
        summary: "demo · note 1",
        workstream_id: "w",
        task_id: null,
        sandbox_id: id(1),
        sequence: 1,
        phase: null,
        percent: null,
        eta_seconds: null,
        author: "sandboxer",
        detail: { sandbox_name: "demo" }
      })
      expect(two?.request.headers.authorization).toBeUndefined()
      expect(two?.request.headers["idempotency-key"]).toBeUndefined()
      expect(two?.body).toMatchObject([{ sequence: 2 }, { sequence: 3 }])
    })
  )

  it.live("uses the configured field names", () =>
    Effect.gen(function* () {
      yield* publish([1], { fields: { summary: "text", workstream_id: "stream", detail: false } })
      expect(requests[0]?.body).toMatchObject({ text: "demo · note 1", stream: "w" })
      expect(Object.keys(requests[0]?.body as object)).not.toContain("summary")
      expect(Object.keys(requests[0]?.body as object)).not.toContain("detail")
    })
  )
})

describe("an answer of the hub", () => {
  const status = (code: number, headers: Record<string, string> = {}, body = "") => {
    answer = (response) => response.writeHead(code, headers).end(body)
  }
  const failure = Effect.flip(Effect.suspend(() => publish([1, 2])))

  it.live.each([200, 201, 202, 204, 208])("%i means accepted", (code) =>
    Effect.suspend(() => {
      status(code)
      return publish([1])
    })
  )

  it.live.each([
    ...[408, 425, 429, 500, 502, 503, 599].map((code) => [code, "unavailable"] as const),
    ...[301, 302, 307, 401, 403, 404, 405, 410, 415].map((code) => [code, "misconfigured"] as const),
    ...[400, 413, 422].map((code) => [code, "refused"] as const)
  ])("%i: %s", ([code, reason]) =>
    Effect.gen(function* () {
      status(code, { location: `${origin}/elsewhere` }, `no: \u001b[31m${code}`)
      const error = yield* failure
      expect(error.reason).toBe(reason)
      expect(error.message).toBe(`${origin}/progress answers ${code}: no: ${code}`)
      // It goes nowhere else.
      expect(requests.map(({ request }) => request.url)).toEqual(["/progress"])
    })
  )

  it.live.each([
    ["7", 7],
    ["0", undefined],
    ["-3", undefined],
    ["soon", undefined]
  ])("with Retry-After: %s delays the next try", ([value, seconds]) =>
    Effect.gen(function* () {
      status(429, { "retry-after": String(value) })
      expect((yield* failure).retryAfterSeconds).toBe(seconds)
    })
  )

  it.live("with a date in Retry-After delays the next try", () =>
    Effect.gen(function* () {
      status(503, { "retry-after": new Date(Date.now() + 60_000).toUTCString() })
      const { retryAfterSeconds = 0 } = yield* failure
      expect(Math.abs(retryAfterSeconds - 60)).toBeLessThan(5)
    })
  )

  it.live("that accepts and then breaks off counts as accepted", () =>
    Effect.gen(function* () {
      answer = (response) => {
        response.writeHead(200, { "content-length": "1000000" })
        response.write("\u0000{garbage")
        response.socket?.resetAndDestroy()
      }
      // Its head may be lost with the rest of it, which is no answer then.
      const reset = yield* Effect.either(publish([1]))
      if (reset._tag === "Left") expect(reset.left.reason).toBe("unavailable")
      answer = (response) => void response.writeHead(200).write("{garbage without an end")
      yield* publish([1])
    })
  )

  it.live.each([
    ["it is closed at once", (response: ServerResponse): void => void response.socket?.destroy()],
    [
      "it closes in the middle of its head",
      (response: ServerResponse): void => void response.socket?.end("HTTP/1.1 200 OK\r\nContent-")
    ],
    [
      "it says garbage",
      (response: ServerResponse): void => void response.socket?.end("\u0000\u0001 no HTTP\r\n\r\n")
    ]
  ] as const)("that is missing (%s) means unavailable", ([, how]) =>
    Effect.gen(function* () {
      answer = how
      expect((yield* failure).reason).toBe("unavailable")
    })
  )

  it.live("with an endless error text is read in part only", () =>
    Effect.gen(function* () {
      answer = (response) => {
        response.writeHead(400)
        const more = () => {
          while (!response.destroyed && response.write("x".repeat(10_000)));
        }
        response.on("drain", more)
        more()
      }
      expect((yield* failure).message.length).toBeLessThan(300)
    })
  )

  it.live("that takes longer than 4 s means unavailable", () =>
    Effect.gen(function* () {
      answer = () => {}
      const begun = Date.now()
      expect(yield* failure).toMatchObject({
        reason: "unavailable",
        message: `${origin}/progress gives no answer within 4 s`
      })
      expect(Date.now() - begun).toBeLessThan(timeLimit(5000))
    })
  )

  it.live("is unavailable if nothing listens", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(publish([1], { endpoint: "http://127.0.0.1:9/progress" }))
      expect(error.reason).toBe("unavailable")
      expect(error.message).toContain("http://127.0.0.1:9/progress cannot be reached: ")
    })
  )
})

describe("a token over an unencrypted connection", () => {
  const warningOf = (endpoint: string, more: Partial<HubSettings> = { token: Redacted.make("secret") }) =>
    Effect.map(StateHub, ({ warning }) => warning).pipe(
      Effect.provide(
        layer.pipe(
          Layer.provide(
            layerHome(folder, {
              hub: { url: endpoint, endpoint, fields: {}, token: undefined, tokenFile: undefined, ...more }
            })
          ),
          Layer.provide(platform)
        )
      )
    )

  it.effect.each(["http://hub.example/progress", "http://10.0.0.1:8787/progress", "http://[2001:db8::1]/"])(
    "to %s leads to a warning",
    (endpoint) =>
      Effect.gen(function* () {
        const { origin: to } = new URL(endpoint)
        expect(yield* warningOf(endpoint)).toContain(`goes to ${to} in clear`)
        expect(yield* warningOf(endpoint, { tokenFile: "/token" })).toContain("in clear")
        expect(yield* warningOf(endpoint, {})).toBeUndefined()
      })
  )

  it.effect.each([
    "https://hub.example/progress",
    "http://localhost:8787/progress",
    "http://127.0.0.1/progress",
    "http://[::1]:8787/progress"
  ])("to %s does not", (endpoint) =>
    Effect.map(warningOf(endpoint), (warning) => expect(warning).toBeUndefined())
  )
})

describe("the token's file", () => {
  const file = join(folder, "token")

  it.live("is read for each request", () =>
    Effect.gen(function* () {
      for (const token of ["one", "two"]) {
        writeFileSync(file, `${token}\n`, { mode: 0o600 })
        yield* publish([1], { tokenFile: file })
      }
      expect(requests.map(({ request }) => request.headers.authorization)).toEqual([
        "Bearer one",
        "Bearer two"
      ])
    })
  )

  it.live("that others may read, or that does not exist, is not used", () =>
    Effect.gen(function* () {
      writeFileSync(file, "secret", { mode: 0o600 })
      chmodSync(file, 0o640)
      const open = yield* Effect.flip(publish([1], { tokenFile: file }))
      const missing = yield* Effect.flip(publish([1], { tokenFile: join(folder, "none") }))
      const odd = yield* Effect.flip(publish([1], { token: Redacted.make("a\nb") }))
      expect([open.reason, missing.reason, odd.reason]).toEqual(Array(3).fill("misconfigured"))
      expect(open.message).toBe(`others may read the State Hub's token file ${file}`)
      expect(JSON.stringify([open, missing, odd])).not.toContain("secret")
      expect(requests).toEqual([])
    })
  )
})

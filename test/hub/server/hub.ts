/** A hub without a socket: requests go to its app, notes to a store in memory. */
import * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Note } from "../../../src/domain/Note.js"
import { HubStore, type HubStoreError } from "../../../src/hub/server/HubStore.js"
import { type AppOptions, makeApp } from "../../../src/hub/server/node/App.js"
import { layerMemory } from "../../../src/hub/server/sql/HubStoreSql.js"

export const note = (n: number, fields: Partial<Note> = {}): Note => ({
  id: `tiny-${n}`,
  occurred_at: new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString(),
  source: "sandboxer",
  event_type: "phase",
  summary: `tiny · ${n}`,
  workstream_id: null,
  task_id: null,
  sandbox_id: "tiny",
  sequence: n,
  phase: "create",
  percent: null,
  eta_seconds: null,
  author: "sandboxer",
  detail: {},
  ...fields
})

export const notes = (from: number, to: number, fields: Partial<Note> = {}): ReadonlyArray<Note> =>
  Array.from({ length: to - from + 1 }, (_, index) => note(from + index, fields))

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: what it is, the test says
  readonly json: () => any
}

/** The ids of a page's notes. */
export const idsOf = (answer: Answer): ReadonlyArray<string> => answer.json().items.map(({ id }: Note) => id)

export interface Hub {
  /** Sends a request, and reads all of the answer. */
  readonly ask: (path: string, init?: RequestInit) => Effect.Effect<Answer>
  /** Sends a request, and leaves the answer open. */
  readonly open: (path: string, init?: RequestInit) => Effect.Effect<Response>
  readonly post: (body: unknown, headers?: Record<string, string>) => Effect.Effect<Answer>
  readonly close: Effect.Effect<void>
}

const base = "http://127.0.0.1:8787"

const make = (options: AppOptions): Effect.Effect<Hub, never, HubStore | Scope.Scope> =>
  Effect.gen(function* () {
    const { app, close } = yield* makeApp(options)
    const runtime = yield* Effect.provide(
      Effect.runtime<HubStore | HttpRouter.HttpRouter.DefaultServices>(),
      HttpServer.layerContext
    )
    const handler = HttpApp.toWebHandlerRuntime(runtime)(app)
    const open: Hub["open"] = (path, init) =>
      Effect.promise(() =>
        handler(
          new Request(`${base}${path}`, {
            ...init,
            headers: { host: "127.0.0.1:8787", ...(init?.headers as Record<string, string>) }
          })
        )
      )
    const ask: Hub["ask"] = (path, init) =>
      Effect.flatMap(open(path, init), (response) =>
        Effect.promise(async () => {
          const text = await response.text()
          return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) }
        })
      )
    return {
      open,
      ask,
      post: (body, headers) =>
        ask("/progress", {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: typeof body === "string" ? body : JSON.stringify(body)
        }),
      close
    }
  })

/** A store of its own, until the scope ends. */
export const memoryStore = Effect.map(Layer.build(layerMemory), (built) => Context.get(built, HubStore))

/** A hub without a token, for this machine alone, unless it is said otherwise. */
export const makeHub = (
  options: { readonly token?: string; readonly loopback?: boolean } = {}
): Effect.Effect<Hub, never, Scope.Scope> => makeWith(memoryStore, options)

/** As `makeHub`, over a store. */
export const makeWith = (
  store: Effect.Effect<HubStore["Type"], HubStoreError, Scope.Scope>,
  { loopback = true, token }: { readonly token?: string; readonly loopback?: boolean } = {}
): Effect.Effect<Hub, never, Scope.Scope> =>
  Effect.provideServiceEffect(
    make({ loopback, token: token === undefined ? undefined : Redacted.make(token) }),
    HubStore,
    Effect.orDie(store)
  )

/** What a stream says, event by event. */
export const makeReader = (response: Response) => {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ""
  const events: Array<{
    readonly id: string
    readonly data: { readonly id: string; readonly position: number }
  }> = []
  return {
    /** The first so many events; those that are not there yet are waited for. */
    events: (count: number) =>
      Effect.promise(async () => {
        while (events.length < count) {
          const { done, value } = await reader.read()
          if (done) break
          const blocks = (text + value).split("\n\n")
          text = blocks.pop() ?? ""
          for (const block of blocks) {
            const [, id, data] = /^id: (\d+)\ndata: (.*)$/.exec(block) ?? []
            if (id !== undefined) events.push({ id, data: JSON.parse(data!) })
          }
        }
        return events
      }),
    /** All that is left of the stream once it has ended. */
    rest: Effect.promise(async () => {
      let rest = text
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return rest
        rest += value
      }
    }),
    cancel: Effect.promise(() => reader.cancel())
  }
}

/** The handlers of HubApi. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Timing } from "../../../settings/Timing.js"
import { type Filters, HubApi, openApi, usualPage } from "../HubApi.js"
import { TooMany, Unavailable } from "../HubRefusals.js"
import { type Filter, HubStore, type HubStoreError } from "../HubStore.js"
import { type Live, shown } from "./Live.js"
import type { Metrics } from "./Metrics.js"
import { notesOf } from "./RequestNotes.js"

const millis = (time: string | undefined) => (time === undefined ? undefined : Date.parse(time))

const filterOf = ({ event_type, sandbox, since, task, until, workstream }: Filters): Filter => ({
  workstream,
  task,
  sandbox,
  eventType: event_type,
  since: millis(since),
  until: millis(until)
})

/** Logs an error for the operator; the client only learns that there was one. */
const unavailable = (error: HubStoreError) =>
  Effect.zipRight(
    Effect.logError(`${error.message} (${error.hint})`),
    new Unavailable({ message: "the hub's database cannot be read or written now" })
  )

export const layerHandlers = (live: Live, metrics: Metrics) => {
  const notes = HttpApiBuilder.group(HubApi, "notes", (handlers) =>
    Effect.map(HubStore, (store) =>
      handlers
        .handleRaw("take", ({ request }) =>
          Effect.gen(function* () {
            const given = yield* notesOf(request)
            const taken = yield* Effect.catchAll(store.take(given), unavailable)
            const doubles = given.length - taken
            metrics.took(taken, doubles)
            if (taken > 0) yield* live.wake
            return { taken, doubles }
          })
        )
        .handle("list", ({ urlParams: { cursor, limit = usualPage, order = "oldest", ...filters } }) =>
          Effect.gen(function* () {
            // One more than the page, to see whether there is another page.
            const page = { filter: filterOf(filters), order, cursor, limit: limit + 1 }
            const found = yield* Effect.catchAll(store.page(page), unavailable)
            const items = found.slice(0, limit).map(shown)
            return { items, next: found.length > limit ? (items.at(-1)?.position ?? null) : null }
          })
        )
        .handleRaw("stream", ({ headers, urlParams: { cursor, ...filters } }) =>
          Effect.gen(function* () {
            const { streams } = (yield* Timing).hubServer
            if (metrics.openStreams() >= streams) {
              return yield* new TooMany({ message: `${streams} streams are open` })
            }
            const position = headers["last-event-id"] ?? cursor
            const text = yield* Effect.catchAll(live.from(filterOf(filters), position), unavailable)
            const counted = Stream.unwrapScoped(
              Effect.as(
                Effect.acquireRelease(Effect.sync(metrics.streamOpened), () =>
                  Effect.sync(metrics.streamClosed)
                ),
                text
              )
            )
            // A client whose stream ends reconnects with the last id that it saw.
            const logged = Stream.tapError(counted, unavailable)
            return HttpServerResponse.stream(Stream.encodeText(Stream.catchAll(logged, () => Stream.empty)), {
              contentType: "text/event-stream"
            })
          })
        )
        .handle("metrics", () => Effect.catchAll(Effect.map(store.size, metrics.text), unavailable))
    )
  )
  const open = HttpApiBuilder.group(HubApi, "open", (handlers) =>
    Effect.map(HubStore, (store) =>
      handlers
        .handle("health", () =>
          Effect.as(Effect.catchAll(store.newest, unavailable), { status: "ok" as const })
        )
        .handle("openapi", () => Effect.sync(() => ({ ...openApi() })))
    )
  )
  return Layer.merge(notes, open)
}

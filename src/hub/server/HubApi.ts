/**
 * What a State Hub takes and answers, as an HttpApi: the contract that `sandboxer hub serve` keeps to. Its OpenAPI
 * document is docs/state-hub.openapi.json.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpApiSecurity from "@effect/platform/HttpApiSecurity"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { Note } from "../../domain/Note.js"
import {
  Forbidden,
  NoNotes,
  NotFound,
  NotJson,
  TooLarge,
  TooMany,
  Unauthorized,
  Unavailable
} from "./HubRefusals.js"

/** So many notes a request, and bytes of it. */
export const mostNotes = 1000
export const mostBytes = 1024 * 1024
/** So many notes a page, and where nothing is said of it. */
export const mostOfPage = 1000
export const usualPage = 100

const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/

const time = Schema.String.pipe(
  Schema.filter((text) => rfc3339.test(text) && !Number.isNaN(Date.parse(text)), {
    message: () => "Expected an RFC 3339 time, as in 2026-01-31T12:00:00Z",
    jsonSchema: { format: "date-time" }
  })
)

/**
 * A note as it is taken: what `Note` says of types, and what a hub has to rely on. Fields that it does not know are
 * let pass, and are not kept.
 * @category model
 */
export const PostedNote = Schema.Struct({
  ...Note.fields,
  // It has to fit into a header, too.
  id: Schema.String.pipe(
    Schema.pattern(/^[\x21-\x7e]{1,200}$/, {
      message: () => "Expected 1 to 200 letters, digits and signs of ASCII"
    })
  ),
  occurred_at: time
}).annotations({ identifier: "Note", parseOptions: { errors: "all" } })

/**
 * A note as the hub has it: `position` numbers them as they came.
 * @category model
 */
export const KeptNote = Schema.Struct({
  position: Schema.Int,
  received_at: Schema.String,
  ...Note.fields
}).annotations({ identifier: "KeptNote" })
export type KeptNote = typeof KeptNote.Type

/** Who may ask: where the hub has a token, whoever has it too. */
export class Authorization extends HttpApiMiddleware.Tag<Authorization>()("sandboxer/hub/Authorization", {
  failure: Unauthorized,
  security: {
    bearer: HttpApiSecurity.annotate(
      HttpApiSecurity.bearer,
      OpenApi.Description,
      "The hub's token; none where the hub has none"
    )
  }
}) {}

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

const filters = {
  workstream: optional(Schema.String),
  task: optional(Schema.String),
  sandbox: optional(Schema.String),
  event_type: optional(Schema.String),
  /** When it happened: from `since` on, and before `until`. */
  since: optional(time),
  until: optional(time)
}

const wholeNumber = (from: number, to: number) =>
  Schema.String.pipe(
    Schema.filter((text) => /^\d{1,15}$/.test(text) && Number(text) >= from && Number(text) <= to, {
      message: () => `Expected a whole number from ${from} to ${to}`,
      jsonSchema: { pattern: "^[0-9]+$" }
    }),
    Schema.transform(Schema.Number, { decode: Number, encode: String })
  )

const position = wholeNumber(0, 999_999_999_999_999)

// A word that is misspelt would ask for something else.
const query = { title: "query", parseOptions: { onExcessProperty: "error" } } as const

const Query = Schema.Struct({
  ...filters,
  order: optional(Schema.Literal("oldest", "newest")),
  cursor: optional(position),
  limit: optional(wholeNumber(1, mostOfPage))
}).annotations(query)

const StreamQuery = Schema.Struct({ ...filters, cursor: optional(position) }).annotations(query)
export type Filters = Omit<typeof StreamQuery.Type, "cursor">

/**
 * Notes, in order; `next` is the cursor of the page behind this one, null where there is none.
 * @category model
 */
export const NotePage = Schema.Struct({
  items: Schema.Array(KeptNote),
  next: Schema.NullOr(Schema.Int)
}).annotations({ identifier: "NotePage" })

/**
 * How many notes were new, and how many the hub had already.
 * @category model
 */
export const Taken = Schema.Struct({ taken: Schema.Int, doubles: Schema.Int }).annotations({
  identifier: "Taken"
})

const notes = HttpApiGroup.make("notes")
  .add(
    HttpApiEndpoint.post("take", "/progress")
      .setPayload(Schema.Union(PostedNote, Schema.Array(PostedNote).pipe(Schema.maxItems(mostNotes))))
      .setHeaders(Schema.Struct({ "idempotency-key": optional(Schema.String) }))
      .addSuccess(Taken)
      .addError(NoNotes)
      .addError(TooLarge)
      .addError(NotJson)
      .annotate(OpenApi.Summary, "Takes a note, or several")
      .annotate(
        OpenApi.Description,
        "All or none; on an answer of 200 they are kept. A note is taken once however often it is sent: doubles are told by `id` alone, and the first one stays. An Idempotency-Key is welcome, and says no more than the id."
      )
  )
  .add(
    HttpApiEndpoint.get("list", "/notes")
      .setUrlParams(Query)
      .addSuccess(NotePage)
      .annotate(OpenApi.Summary, "Notes, a page at a time")
      .annotate(
        OpenApi.Description,
        "In the order in which they came, or the `newest` first. `cursor` is `next` of the page before. `since` and `until` bound `occurred_at`; `until` itself is not in it."
      )
  )
  .add(
    HttpApiEndpoint.get("stream", "/notes/stream")
      .setUrlParams(StreamQuery)
      .setHeaders(Schema.Struct({ "last-event-id": optional(position) }))
      .addSuccess(HttpApiSchema.Text({ contentType: "text/event-stream" }))
      .annotate(OpenApi.Summary, "Notes as they come, as server-sent events")
      .annotate(
        OpenApi.Description,
        "The data of an event is a KeptNote as JSON on one line, its id the position. Begins behind `Last-Event-ID`, else behind `cursor`, else with what comes from now on."
      )
  )
  .add(
    HttpApiEndpoint.get("metrics", "/metrics")
      .addSuccess(HttpApiSchema.Text({ contentType: "text/plain; version=0.0.4" }))
      .annotate(OpenApi.Summary, "Metrics for Prometheus")
  )
  .middleware(Authorization)
  .addError(Unavailable)

const open = HttpApiGroup.make("open")
  .add(
    HttpApiEndpoint.get("health", "/health")
      .addSuccess(Schema.Struct({ status: Schema.Literal("ok") }))
      .annotate(OpenApi.Summary, "Whether the hub and its database answer")
  )
  .add(
    HttpApiEndpoint.get("openapi", "/openapi.json")
      .addSuccess(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
      .annotate(OpenApi.Summary, "This document")
  )
  .addError(Unavailable)

/** @category api */
export class HubApi extends HttpApi.make("state-hub")
  .add(notes)
  .add(open)
  .addError(Forbidden)
  .addError(NotFound)
  .addError(TooMany)
  .annotate(OpenApi.Title, "State Hub")
  .annotate(OpenApi.Version, "1")
  .annotate(OpenApi.Description, "Is told how sandboxes fare, and tells it to whoever asks.") {}

/** The OpenAPI document. */
export const openApi = (): OpenApi.OpenAPISpec =>
  OpenApi.fromApi(HubApi, { additionalPropertiesStrategy: "allow" })

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
import { Note } from "./domain/Note.js"

/** So many notes a request, and bytes of it. */
export const mostNotes = 1000
export const mostBytes = 1024 * 1024
/** So many notes a page, and where nothing is said of it. */
export const mostOfPage = 1000
export const usualPage = 100

const time = Schema.String.pipe(
  Schema.pattern(/^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/),
  Schema.filter((text) => !Number.isNaN(Date.parse(text))),
  Schema.annotations({
    message: () => "Expected an RFC 3339 time, as in 2026-01-31T12:00:00Z",
    jsonSchema: { type: "string", format: "date-time" }
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
    Schema.pattern(/^[\x21-\x7e]{1,200}$/),
    Schema.annotations({ message: () => "Expected 1 to 200 letters, digits and signs of ASCII" })
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

/** @category errors */
export class NoNotes extends Schema.TaggedError<NoNotes>("sandboxer/hub/NoNotes")(
  "NoNotes",
  {
    message: Schema.String,
    /** The first of what is wrong; `index` counts the notes of the request from 0. */
    issues: Schema.Array(
      Schema.Struct({ index: Schema.Int, path: Schema.String, message: Schema.String }).annotations({
        identifier: "NoteIssue"
      })
    )
  },
  HttpApiSchema.annotations({
    status: 400,
    description: "No JSON, or not a note: nothing of the request was taken"
  })
) {}

const refusal = { message: Schema.String }

/** @category errors */
export class Unauthorized extends Schema.TaggedError<Unauthorized>("sandboxer/hub/Unauthorized")(
  "Unauthorized",
  refusal,
  HttpApiSchema.annotations({ status: 401, description: "The token is missing, or another one" })
) {}

/** @category errors */
export class Forbidden extends Schema.TaggedError<Forbidden>("sandboxer/hub/Forbidden")(
  "Forbidden",
  refusal,
  HttpApiSchema.annotations({
    status: 403,
    description: "Asked under a name that is not this hub's, or by another site's page"
  })
) {}

/** @category errors */
export class NotFound extends Schema.TaggedError<NotFound>("sandboxer/hub/NotFound")(
  "NotFound",
  refusal,
  HttpApiSchema.annotations({ status: 404, description: "No such path, or not with this method" })
) {}

/** @category errors */
export class TooLarge extends Schema.TaggedError<TooLarge>("sandboxer/hub/TooLarge")(
  "TooLarge",
  refusal,
  HttpApiSchema.annotations({ status: 413, description: "Too many bytes, or notes, in one request" })
) {}

/** @category errors */
export class NotJson extends Schema.TaggedError<NotJson>("sandboxer/hub/NotJson")(
  "NotJson",
  refusal,
  HttpApiSchema.annotations({
    status: 415,
    description: "The Content-Type is not application/json, or the body is compressed"
  })
) {}

/** @category errors */
export class TooMany extends Schema.TaggedError<TooMany>("sandboxer/hub/TooMany")(
  "TooMany",
  refusal,
  HttpApiSchema.annotations({
    status: 429,
    description: "Too many requests, or open streams: again after Retry-After seconds"
  })
) {}

/** @category errors */
export class Unavailable extends Schema.TaggedError<Unavailable>("sandboxer/hub/Unavailable")(
  "Unavailable",
  refusal,
  HttpApiSchema.annotations({
    status: 503,
    description: "The database cannot be read or written now; nothing of the request was taken"
  })
) {}

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

const filters = {
  workstream: Schema.optional(Schema.String),
  task: Schema.optional(Schema.String),
  sandbox: Schema.optional(Schema.String),
  event_type: Schema.optional(Schema.String),
  /** When it happened: from `since` on, and before `until`. */
  since: Schema.optional(time),
  until: Schema.optional(time)
}
const position = Schema.NumberFromString.pipe(
  Schema.int(),
  Schema.nonNegative(),
  Schema.annotations({ message: () => "Expected a note's position: a whole number" })
)
// A word that is misspelt would ask for something else.
const strict = { parseOptions: { onExcessProperty: "error" } } as const

const Query = Schema.Struct({
  ...filters,
  order: Schema.optional(Schema.Literal("oldest", "newest")),
  cursor: Schema.optional(position),
  limit: Schema.optional(
    Schema.NumberFromString.pipe(
      Schema.int(),
      Schema.between(1, mostOfPage),
      Schema.annotations({ message: () => `Expected a whole number from 1 to ${mostOfPage}` })
    )
  )
}).annotations(strict)

const StreamQuery = Schema.Struct({ ...filters, cursor: Schema.optional(position) }).annotations(strict)
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
      .setHeaders(Schema.Struct({ "idempotency-key": Schema.optional(Schema.String) }))
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
      .setHeaders(Schema.Struct({ "last-event-id": Schema.optional(position) }))
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

/** The refusals of a State Hub, each with its own HTTP status. */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"

/** @category errors */
export class NoNotes extends Schema.TaggedError<NoNotes>()(
  "NoNotes",
  {
    message: Schema.String,
    /** The first mistake; `index` counts the notes of the request from 0. */
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
export class Unauthorized extends Schema.TaggedError<Unauthorized>()(
  "Unauthorized",
  refusal,
  HttpApiSchema.annotations({ status: 401, description: "The token is missing, or another one" })
) {}

/** @category errors */
export class Forbidden extends Schema.TaggedError<Forbidden>()(
  "Forbidden",
  refusal,
  HttpApiSchema.annotations({
    status: 403,
    description: "Asked under a name that is not this hub's, or by another site's page"
  })
) {}

/** @category errors */
export class NotFound extends Schema.TaggedError<NotFound>()(
  "NotFound",
  refusal,
  HttpApiSchema.annotations({ status: 404, description: "No such path, or not with this method" })
) {}

/** @category errors */
export class TooLarge extends Schema.TaggedError<TooLarge>()(
  "TooLarge",
  refusal,
  HttpApiSchema.annotations({ status: 413, description: "Too many bytes, or notes, in one request" })
) {}

/** @category errors */
export class NotJson extends Schema.TaggedError<NotJson>()(
  "NotJson",
  refusal,
  HttpApiSchema.annotations({
    status: 415,
    description: "The Content-Type is not application/json, or the body is compressed"
  })
) {}

/** @category errors */
export class TooMany extends Schema.TaggedError<TooMany>()(
  "TooMany",
  refusal,
  HttpApiSchema.annotations({
    status: 429,
    description: "Too many requests, or open streams: again after Retry-After seconds"
  })
) {}

/** @category errors */
export class Unavailable extends Schema.TaggedError<Unavailable>()(
  "Unavailable",
  refusal,
  HttpApiSchema.annotations({
    status: 503,
    description: "The database cannot be read or written now; nothing of the request was taken"
  })
) {}

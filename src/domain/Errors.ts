import * as Schema from "effect/Schema"

/** A place in a document that a user wrote; lines and columns count from 1. */
export const Location = Schema.Struct({ file: Schema.String, line: Schema.Number, column: Schema.Number })
export type Location = typeof Location.Type

/**
 * What the user gave cannot be used: exit 2. `location` where a document is at fault.
 * @category errors
 */
export class UsageError extends Schema.TaggedError<UsageError>("sandboxer/UsageError")("UsageError", {
  reason: Schema.Literal("usage", "input", "profile", "template", "configuration"),
  message: Schema.String,
  hint: Schema.String,
  location: Schema.optional(Location)
}) {}

/**
 * There is no such thing: exit 3.
 * @category errors
 */
export class NotFound extends Schema.TaggedError<NotFound>("sandboxer/NotFound")("NotFound", {
  reason: Schema.Literal("sandbox", "profile", "artifact", "extension", "log", "note"),
  message: Schema.String,
  hint: Schema.String
}) {}

/**
 * It exists already, or another one holds it: exit 13.
 * @category errors
 */
export class Conflict extends Schema.TaggedError<Conflict>("sandboxer/Conflict")("Conflict", {
  reason: Schema.Literal("name-taken", "running", "ended", "exists", "not-ready"),
  message: Schema.String,
  hint: Schema.String
}) {}

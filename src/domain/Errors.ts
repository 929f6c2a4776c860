import * as Schema from "effect/Schema"

/** A place in a document that a user wrote; lines and columns count from 1. */
export const Location = Schema.Struct({ file: Schema.String, line: Schema.Number, column: Schema.Number })
export type Location = typeof Location.Type

/**
 * A command line, input, profile, template or configuration is wrong: exit 2. `location` is the place in the document,
 * if a document is wrong.
 * @category errors
 */
export class UsageError extends Schema.TaggedError<UsageError>("sandboxer/UsageError")("UsageError", {
  reason: Schema.Literal("usage", "input", "profile", "template", "configuration"),
  message: Schema.String,
  hint: Schema.String,
  location: Schema.optional(Location)
}) {}

/**
 * Nothing has the given id or name: exit 3.
 * @category errors
 */
export class NotFound extends Schema.TaggedError<NotFound>("sandboxer/NotFound")("NotFound", {
  reason: Schema.Literal("sandbox", "profile", "artifact", "extension", "log", "note"),
  message: Schema.String,
  hint: Schema.String
}) {}

/**
 * Something exists already, is locked by another provision, or is in the wrong state: exit 13.
 * @category errors
 */
export class Conflict extends Schema.TaggedError<Conflict>("sandboxer/Conflict")("Conflict", {
  reason: Schema.Literal("name-taken", "running", "ended", "exists", "not-ready"),
  message: Schema.String,
  hint: Schema.String
}) {}

/** Why an SQLite database cannot be used, in words for people. */
import { dirname } from "node:path"
import * as Schema from "effect/Schema"
import { describeError, errorKind } from "../domain/ErrorKind.js"

/**
 * - `not-writable`: the file cannot be created or written: permissions, a missing folder, a full disk
 * - `damaged`: the file is not a database, or a broken one
 * - `newer`: it has a migration that this program does not know
 * - `busy`: another process keeps it locked
 */
export class DatabaseError extends Schema.TaggedError<DatabaseError>("sandboxer/DatabaseError")(
  "DatabaseError",
  {
    reason: Schema.Literal("not-writable", "damaged", "newer", "busy", "other"),
    message: Schema.String,
    hint: Schema.String
  }
) {}

/** A statement of a database that could not be opened fails with an error that has this one as its cause. */
const opening = (error: unknown): DatabaseError | undefined => {
  if (error instanceof DatabaseError) return error
  return error instanceof Error && error.cause !== undefined ? opening(error.cause) : undefined
}

const classify = (filename: string, error: unknown): Pick<DatabaseError, "reason" | "hint"> => {
  switch (errorKind(error)) {
    case "damaged":
      return {
        reason: "damaged",
        hint: "Restore it from a backup, or move it aside, with its -wal and -shm, to begin with an empty one."
      }
    case "busy":
      return { reason: "busy", hint: "Another process keeps it locked: `fuser` on the file names it." }
    case "other":
      return {
        reason: "other",
        hint: "Run the command again with --log-level debug to see the full error."
      }
    default:
      return {
        reason: "not-writable",
        hint: `Make sure that ${dirname(filename)} is there, may be written and has space left.`
      }
  }
}

export const databaseError = (filename: string) => (error: unknown) =>
  opening(error) ??
  new DatabaseError({
    ...classify(filename, error),
    message: `the database ${filename}: ${describeError(error)}`
  })

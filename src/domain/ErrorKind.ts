/** What kind of failure an error of the file system or of a database is: the one place that knows their codes. */

/**
 * - `not-found`: a file or folder is missing
 * - `exists`: it is there already
 * - `not-empty`: a folder has something in it
 * - `not-permitted`: permissions, or a file system that is read-only
 * - `disk-full`: no space, or a quota is used up
 * - `unusable`: the path or the device cannot be used otherwise
 * - `damaged`: a file is no database, or a broken one
 * - `busy`: another process keeps the database locked
 *
 * @category model
 */
export type ErrorKind =
  | "not-found"
  | "exists"
  | "not-empty"
  | "not-permitted"
  | "disk-full"
  | "unusable"
  | "damaged"
  | "busy"
  | "other"

const kinds = new Map<string, ErrorKind>(
  Object.entries({
    ENOENT: "not-found",
    ENOTDIR: "not-found",
    EEXIST: "exists",
    ENOTEMPTY: "not-empty",
    ERR_FS_CP_EEXIST: "exists",
    EACCES: "not-permitted",
    EPERM: "not-permitted",
    EROFS: "not-permitted",
    ENOSPC: "disk-full",
    EDQUOT: "disk-full",
    EIO: "unusable",
    EISDIR: "unusable",
    SQLITE_PERM: "not-permitted",
    SQLITE_AUTH: "not-permitted",
    SQLITE_READONLY: "not-permitted",
    SQLITE_FULL: "disk-full",
    SQLITE_IOERR: "unusable",
    SQLITE_CANTOPEN: "unusable",
    SQLITE_CORRUPT: "damaged",
    SQLITE_NOTADB: "damaged",
    SQLITE_BUSY: "busy"
  } as const)
)

const causeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "cause" in error ? error.cause : undefined

/** The code that an error, or the nearest of its causes that has one, carries; "" where none does. */
export const codeOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return ""
  return "code" in error && typeof error.code === "string" ? error.code : codeOf(causeOf(error))
}

export const errorKind = (error: unknown): ErrorKind => {
  const code = codeOf(error)
  // SQLite's extended codes refine its primary ones: SQLITE_IOERR_FSYNC.
  return kinds.get(code) ?? kinds.get(/^SQLITE_[A-Z]+/.exec(code)?.[0] ?? "") ?? "other"
}

/** Their own messages only say that something failed. */
const wrappers = ["SqlError", "UnknownException"]

/** An error's message with those of its causes. */
export const describeError = (error: unknown): string => {
  const own = error instanceof Error ? error.message : String(error)
  const cause = causeOf(error)
  if (cause === undefined) return own
  const inner = describeError(cause)
  if (wrappers.includes((error as { readonly _tag?: string })._tag ?? "")) return inner
  return own.includes(inner) ? own : `${own}: ${inner}`
}

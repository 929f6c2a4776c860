import * as Schema from "effect/Schema"
import { SandboxId } from "./Sandbox.js"

/**
 * What a folder under version control was at: `commit`, and where something was changed since, the digest of the
 * difference and of the names of files that git does not know.
 */
export const Revision = Schema.Struct({
  commit: Schema.String,
  dirty: Schema.Boolean,
  differenceSha256: Schema.NullOr(Schema.String)
})
export type Revision = typeof Revision.Type

/** A file that was brought back, by its name relative to the folder. */
export const CollectedFile = Schema.Struct({
  name: Schema.String,
  sizeBytes: Schema.Number,
  sha256: Schema.String
})
export type CollectedFile = typeof CollectedFile.Type

/** A tool's first line about its version; null where it is not there. */
export const ToolVersion = Schema.Struct({ name: Schema.String, version: Schema.NullOr(Schema.String) })
export type ToolVersion = typeof ToolVersion.Type

/**
 * What a command on a build machine was given and what came of it: `receipt.json` beside its results. Of environment
 * variables it has the names alone. Times are RFC 3339 in UTC; `exitCode` is null where the command left none.
 * @category model
 */
export class Receipt extends Schema.Class<Receipt>("sandboxer/Receipt")({
  sandboxId: SandboxId,
  attempt: Schema.Int,
  /** A local path; null where no project was brought along. `revision` is null where it is under no version control. */
  project: Schema.NullOr(Schema.Struct({ path: Schema.String, revision: Schema.NullOr(Revision) })),
  host: Schema.Struct({
    host: Schema.String,
    port: Schema.Number,
    user: Schema.String,
    keyFingerprint: Schema.NullOr(Schema.String)
  }),
  workspace: Schema.String,
  command: Schema.String,
  environment: Schema.Array(Schema.String),
  tools: Schema.Array(ToolVersion),
  startedAt: Schema.DateTimeUtc,
  endedAt: Schema.DateTimeUtc,
  exitCode: Schema.NullOr(Schema.Int),
  files: Schema.Array(CollectedFile)
}) {}

/** What the file is called. */
export const receiptName = "receipt.json"

/** The file's text: keys always stand in the same order. */
export const print = (receipt: Receipt): string =>
  `${JSON.stringify({ apiVersion: "sandboxer/v1", kind: "Receipt", ...Schema.encodeSync(Receipt)(receipt) }, null, 2)}\n`

/** Whether a file's text is a receipt's: it may be replaced. */
export const isReceipt = (text: string): boolean =>
  /^\{\s*"apiVersion": "sandboxer\/v1",\s*"kind": "Receipt",/.test(text)

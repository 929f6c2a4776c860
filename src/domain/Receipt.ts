import * as Schema from "effect/Schema"
import { SandboxId } from "./Sandbox.js"

/**
 * The state of a Git working tree: its commit, and if it has changes, the digest of `git diff` and of the names of
 * untracked files.
 */
export const Revision = Schema.Struct({
  commit: Schema.String,
  dirty: Schema.Boolean,
  differenceSha256: Schema.NullOr(Schema.String)
})
export type Revision = typeof Revision.Type

/** A file that was brought back from the host. `name` is relative to the results folder. */
export const CollectedFile = Schema.Struct({
  name: Schema.String,
  sizeBytes: Schema.Number,
  sha256: Schema.String
})
export type CollectedFile = typeof CollectedFile.Type

/** The first line that a tool prints about its version; null if the tool is not installed. */
export const ToolVersion = Schema.Struct({ name: Schema.String, version: Schema.NullOr(Schema.String) })
export type ToolVersion = typeof ToolVersion.Type

/**
 * The inputs and the result of a command on a build machine: `receipt.json` next to its results. Of environment variables
 * it has the names only. Times are RFC 3339 in UTC. `exitCode` is null if the command left none.
 * @category model
 */
export class Receipt extends Schema.Class<Receipt>("sandboxer/Receipt")({
  sandboxId: SandboxId,
  attempt: Schema.Int,
  /** Null if no project was sent. `path` is local; `revision` is null without version control. */
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

/** The name of the file. */
export const receiptName = "receipt.json"

/** The text of the file. The order of keys is fixed. */
export const print = (receipt: Receipt): string =>
  `${JSON.stringify({ apiVersion: "sandboxer/v1", kind: "Receipt", ...Schema.encodeSync(Receipt)(receipt) }, null, 2)}\n`

/** Whether a text is that of a receipt, which a later receipt may replace. */
export const isReceipt = (text: string): boolean =>
  /^\{\s*"apiVersion": "sandboxer\/v1",\s*"kind": "Receipt",/.test(text)

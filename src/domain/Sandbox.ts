import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { Artifact } from "./Artifact.js"
import { Failure } from "./Failure.js"
import { PhaseName } from "./Phase.js"

/** The id of a sandbox: 12 random hexadecimal digits. A unique prefix is enough to name one. */
export const SandboxId = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{12}$/), Schema.brand("SandboxId"))
export type SandboxId = typeof SandboxId.Type

/** The name of a sandbox; it allows the characters that `vm_name` allows. */
export const SandboxName = Schema.String.pipe(Schema.pattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/))

/** @category model */
export const SandboxState = Schema.Literal(
  "requested",
  "provisioning",
  "ready",
  "destroying",
  "destroyed",
  "failed",
  "cancelled"
)
export type SandboxState = typeof SandboxState.Type

/** States in which a sandbox holds its name. */
export const livingStates: ReadonlyArray<SandboxState> = ["requested", "provisioning", "ready", "destroying"]

export const isLiving = (state: SandboxState): boolean => livingStates.includes(state)

/** States in which the provision has not ended. */
export const runningStates: ReadonlyArray<SandboxState> = ["requested", "provisioning"]

/** Whether the provision has ended, with or without success: nothing of it is running. */
export const hasEnded = (state: SandboxState): boolean => !runningStates.includes(state)

/** Whether an attempt has ended, which it then stays. `undefined` is a sandbox that was forgotten. */
export const attemptHasEnded = (sandbox: Sandbox | undefined, attempt: number): boolean =>
  sandbox === undefined || sandbox.attempt > attempt || hasEnded(sandbox.state)

/** Where to reach the machine of a ready sandbox (attach mode). */
export const Endpoint = Schema.Struct({
  host: Schema.String,
  port: Schema.Number,
  user: Schema.String,
  workdir: Schema.NullOr(Schema.String)
})

/** The phase that a provision is in. Percentage and remaining seconds are null until history gives them. */
export const CurrentPhase = Schema.Struct({
  name: PhaseName,
  startedAt: Schema.DateTimeUtc,
  percent: Schema.NullOr(Schema.Number),
  etaSeconds: Schema.NullOr(Schema.Number)
})
export type CurrentPhase = typeof CurrentPhase.Type

/** A field that is null in a new record, unless the constructor gets a value. */
const nullAtFirst = <A, I>(schema: Schema.Schema<A, I>) =>
  Schema.NullOr(schema).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault((): A | null => null)
  )

/**
 * The record of a sandbox. Encoded, and after `apiVersion` and `kind`, it is also the JSON document that commands print.
 * Times are RFC 3339 in UTC.
 * @category model
 */
export class Sandbox extends Schema.Class<Sandbox>("sandboxer/Sandbox")({
  id: SandboxId,
  name: SandboxName,
  profile: Schema.String,
  extension: Schema.String,
  mode: Schema.String,
  state: SandboxState,
  placement: Schema.Struct({ host: Schema.String }),
  /** The resolved inputs; of a secret input, its source. */
  inputs: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  createdAt: Schema.DateTimeUtc,
  readyAt: nullAtFirst(Schema.DateTimeUtc),
  endedAt: nullAtFirst(Schema.DateTimeUtc),
  expiresAt: nullAtFirst(Schema.DateTimeUtc),
  ttlSeconds: nullAtFirst(Schema.Number),
  attempt: Schema.Int,
  phase: nullAtFirst(CurrentPhase),
  artifacts: Schema.Array(Artifact),
  endpoint: nullAtFirst(Endpoint),
  failure: nullAtFirst(Failure),
  /** The path of the redacted log on this machine; null until a supervisor opens it. */
  logPath: nullAtFirst(Schema.String)
}) {}

/** The fields of a sandbox that can change. */
export type SandboxChange = Partial<Omit<Sandbox, "id" | "profile" | "extension" | "createdAt">>

/** The record with some fields replaced. */
export const change = (sandbox: Sandbox, fields: SandboxChange): Sandbox =>
  new Sandbox({ ...sandbox, ...fields })

/** When a ready sandbox, or the record of one that ended, expires; null without a TTL. */
export const expiry = (since: DateTime.Utc, ttlSeconds: number | null): DateTime.Utc | null =>
  ttlSeconds === null ? null : DateTime.add(since, { seconds: ttlSeconds })

/** Whether a sandbox can be provisioned again, with this number of its next attempt. */
export const mayRetry = (sandbox: Sandbox, attempt: number): boolean =>
  (sandbox.state === "failed" || sandbox.state === "cancelled") && attempt === sandbox.attempt + 1

/** The changes to a record when another attempt starts. */
export const resetForRetry = (attempt: number): SandboxChange => ({
  state: "requested",
  attempt,
  phase: null,
  readyAt: null,
  endedAt: null,
  expiresAt: null,
  failure: null,
  endpoint: null
})

import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { Artifact } from "./Artifact.js"
import { Failure } from "./Failure.js"
import { PhaseName } from "./Phase.js"

/** A sandbox's id: 12 hexadecimal digits, random, so that a few are a unique prefix. */
export const SandboxId = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{12}$/), Schema.brand("SandboxId"))
export type SandboxId = typeof SandboxId.Type

/** A sandbox's name: the `vm_name`'s alphabet. */
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

/** Whether the provision has ended, well or not: nothing of it runs any more. */
export const hasEnded = (state: SandboxState): boolean => state !== "requested" && state !== "provisioning"

/** Whether an attempt at its provision has ended; a sandbox that was forgotten is none. It stays so. */
export const attemptHasEnded = (sandbox: Sandbox | undefined, attempt: number): boolean =>
  sandbox === undefined || sandbox.attempt > attempt || hasEnded(sandbox.state)

/** Where one gets at a sandbox that is ready (attach mode). */
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

/** A field that has no value until something gives it one: a record that is made anew need not name it. */
const nullAtFirst = <A, I>(schema: Schema.Schema<A, I>) =>
  Schema.NullOr(schema).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault((): A | null => null)
  )

/**
 * One provisioned thing: its record. This is also the JSON document that the command line prints, behind
 * `apiVersion` and `kind`. Times are RFC 3339 in UTC.
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
  /** Resolved inputs; of a secret one only the source it was read from. */
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
  /** The redacted log, on this machine; null until something was printed. */
  logPath: nullAtFirst(Schema.String)
}) {}

/** Fields of a sandbox that change while it lives. */
export type SandboxChange = Partial<Omit<Sandbox, "id" | "profile" | "extension" | "createdAt">>

/** The record with some fields changed. */
export const change = (sandbox: Sandbox, fields: SandboxChange): Sandbox =>
  new Sandbox({ ...sandbox, ...fields })

/** When what is ready, or the record of what ended otherwise, expires: null without a TTL. */
export const expiry = (since: DateTime.Utc, ttlSeconds: number | null): DateTime.Utc | null =>
  ttlSeconds === null ? null : DateTime.add(since, { seconds: ttlSeconds })

/** Whether a sandbox can be provisioned once more, as the attempt behind its last. */
export const mayRetry = (sandbox: Sandbox, attempt: number): boolean =>
  (sandbox.state === "failed" || sandbox.state === "cancelled") && attempt === sandbox.attempt + 1

/** What changes as a new attempt begins. */
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

/** What all kinds of events have in common. */
import * as Schema from "effect/Schema"
import { PhaseName } from "../Phase.js"
import { SandboxId } from "../Sandbox.js"

/** A value that JSON can express. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

// Any value passes: it was read from JSON text, or becomes JSON text next.
const Json: Schema.Schema<Json> = Schema.Any

/** JSON values by name, for programs to read. */
export const Details = Schema.Record({ key: Schema.String, value: Json })
export type Details = typeof Details.Type

/** The schema of events with this `type`, `phase` and `data`. JSON output has the fields in this order. */
export const event = <
  Type extends Schema.Schema.All,
  Phase extends Schema.Schema.All,
  Data extends Schema.Schema.All
>(
  type: Type,
  phase: Phase,
  data: Data
) =>
  Schema.Struct({
    id: Schema.String,
    sandboxId: SandboxId,
    /** Counts from 1 within a sandbox, without a gap. */
    seq: Schema.Int,
    time: Schema.DateTimeUtc,
    type,
    phase,
    /** For people; it may have several lines. */
    message: Schema.String,
    percent: Schema.NullOr(Schema.Number),
    etaSeconds: Schema.NullOr(Schema.Number),
    data
  })

/** The schema of one kind of event. */
export const kind = <Type extends string, Data extends Schema.Schema.All>(type: Type, data: Data) =>
  event(Schema.Literal(type), Schema.NullOr(PhaseName), data)

/** The `data` of kinds whose type and message say everything. */
export const NoData = Schema.Struct({})

type Fields = "type" | "phase" | "message" | "data"

/**
 * An event before the store numbers it. `occurrence` distinguishes it from other events of its kind (`identityOf`); it is
 * null for a kind that a sandbox has one event of.
 */
export type New<
  Kind extends { readonly Type: { readonly [field in Fields]: unknown } },
  Occurrence = null
> = Pick<Kind["Type"], Fields> & {
  /** Epoch milliseconds; by default, when the store writes the event. */
  readonly time?: number
  readonly occurrence: Occurrence
}

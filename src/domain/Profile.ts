import * as Schema from "effect/Schema"
import { ProfileInput } from "./Input.js"
import { DurationSeconds, SizeBytes } from "./Units.js"

export const ProfileId = Schema.String.pipe(Schema.pattern(/^profile\.[a-z0-9][a-z0-9.-]*$/))

/** A command that makes something a template builds on; see `Profile.prepare`. */
export const Prepare = Schema.Struct({
  /** Runs in a folder of its own, into which `inputs` were copied. */
  command: Schema.NonEmptyArray(Schema.String),
  /** Files or folders beside the profile's file; with the command they name the folder by their digest. */
  inputs: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  /** The file that the command makes, relative to its folder. */
  produces: Schema.String,
  /** The template's variable that gets the path of that file. */
  variable: Schema.String
})
export type Prepare = typeof Prepare.Type

const Placement = Schema.Struct({
  host: Schema.optional(Schema.String),
  requires: Schema.optional(
    Schema.Struct({
      commands: Schema.optional(Schema.Array(Schema.String)),
      /** Bytes that must be free where the image is built. */
      freeDisk: Schema.optional(SizeBytes)
    })
  )
})

/**
 * A profile as it is written: a YAML document whose keys may be left to the profile that it extends. Durations are
 * texts like "12 hours" and become seconds, sizes become bytes.
 * @category model
 */
export class ProfileDocument extends Schema.Class<ProfileDocument>("sandboxer/ProfileDocument")({
  id: ProfileId,
  description: Schema.optional(Schema.String),
  extends: Schema.optional(ProfileId),
  extension: Schema.optional(Schema.String),
  mode: Schema.optional(Schema.String),
  ttl: Schema.optional(DurationSeconds),
  timeout: Schema.optional(DurationSeconds),
  heartbeat: Schema.optional(DurationSeconds),
  stall: Schema.optional(DurationSeconds),
  placement: Schema.optional(Placement),
  prepare: Schema.optional(Prepare),
  inputs: Schema.optional(Schema.Record({ key: Schema.String, value: ProfileInput })),
  hub: Schema.optional(
    Schema.Struct({ workstream: Schema.optional(Schema.String), task: Schema.optional(Schema.String) })
  )
}) {}

/** A profile with what it extends merged in, and where it was found: `file` is a local path. */
export interface Profile {
  readonly document: ProfileDocument
  readonly file: string
  /** The folder that relative paths of the profile, and its `prepare`, are relative to. */
  readonly folder: string
  /** "shipped", or the folder of profiles that it was found in. */
  readonly origin: string
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Merges documents key by key, the more specific one last; lists and scalars are replaced whole. */
export const merge = (
  base: Readonly<Record<string, unknown>>,
  specific: Readonly<Record<string, unknown>>
): Record<string, unknown> => {
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(specific)) {
    const below = merged[key]
    merged[key] = isPlain(below) && isPlain(value) ? merge(below, value) : value
  }
  return merged
}

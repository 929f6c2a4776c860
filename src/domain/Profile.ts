import * as Schema from "effect/Schema"
import type { Location } from "./Errors.js"
import { FailureReason } from "./Failure.js"
import { ProfileInput } from "./Input.js"
import { NoteLevel } from "./Note.js"
import { type PhaseName, phases } from "./Phase.js"
import { DurationSeconds, SizeBytes } from "./Units.js"

/** The id of a profile: "profile." and a name. */
export const ProfileId = Schema.String.pipe(
  Schema.pattern(/^profile\.[a-z0-9][a-z0-9.-]*$/, {
    message: () => 'Expected "profile." and a name of small letters, digits, dots and dashes'
  })
)

/** A command that makes a file which the template needs, like a base image. */
export const Prepare = Schema.Struct({
  /** Runs in a folder of its own, which has copies of `inputs`. */
  command: Schema.NonEmptyArray(Schema.String),
  /** Files or folders, relative to the profile's file. The digest of them and the command names the folder. */
  inputs: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  /** The file that the command makes, relative to its folder. */
  produces: Schema.String,
  /** The variable of the template that gets the path of that file. */
  variable: Schema.String
}).annotations({ title: "the keys of prepare" })
export type Prepare = typeof Prepare.Type

const mebibyte = 1024 ** 2
const aMemory = 'Expected a size of 1 MiB or more like "2 GiB", or a number of MiB'

/** The hardware in the descriptor of an OVA; it overrides the hardware of the template. */
export const Hardware = Schema.Struct({
  cpus: Schema.optional(Schema.Int.pipe(Schema.between(1, 1024))),
  /** In bytes. A profile may also give a number of MiB, like a template does. */
  memory: Schema.optional(
    Schema.Union(
      SizeBytes,
      Schema.transform(Schema.Number, Schema.NonNegative, {
        strict: true,
        decode: (mebibytes) => mebibytes * mebibyte,
        encode: (bytes) => bytes / mebibyte
      })
    )
      .pipe(Schema.filter((bytes) => bytes >= mebibyte))
      .annotations({ message: () => ({ message: aMemory, override: true }) })
  ),
  firmware: Schema.optional(Schema.Literal("bios", "efi")),
  /** The number of network cards. */
  nics: Schema.optional(Schema.Int.pipe(Schema.between(0, 10))),
  /** A name like "debian" or "Ubuntu_64", from which the OVA gets its operating system type. */
  osType: Schema.optional(Schema.NonEmptyString)
}).annotations({ title: "the keys of hardware" })
export type Hardware = typeof Hardware.Type

const Placement = Schema.Struct({
  host: Schema.optional(Schema.String),
  requires: Schema.optional(
    Schema.Struct({
      commands: Schema.optional(Schema.Array(Schema.String)),
      /** Bytes that must be free on the disk where the image is built. */
      freeDisk: Schema.optional(SizeBytes)
    }).annotations({ title: "the keys of requires" })
  )
}).annotations({ title: "the keys of placement" })

const HubKeys = Schema.Struct({
  workstream: Schema.optional(Schema.String),
  task: Schema.optional(Schema.String),
  /** Which events become notes. */
  notes: Schema.optional(NoteLevel),
  /** The shortest time between two heartbeat notes. */
  every: Schema.optional(DurationSeconds)
}).annotations({ title: "the keys of hub" })

/** When a provision that failed is retried. */
export const Retry = Schema.Struct({
  /** The maximum number of retries after the first attempt. */
  times: Schema.Int.pipe(Schema.between(1, 100)),
  /** For which reasons; by default those that may be temporary. */
  on: Schema.optional(Schema.Array(FailureReason).annotations({ title: "a list of failure reasons" })),
  /** The pause before the first retry; it doubles with each further one. */
  backoff: Schema.optional(DurationSeconds)
}).annotations({ title: "the keys of retry" })

const Timeouts = Schema.partial(
  Schema.Struct(
    Object.fromEntries(phases.map((phase) => [phase, DurationSeconds])) as Record<
      PhaseName,
      typeof DurationSeconds
    >
  )
).annotations({ title: "durations by phase" })

/**
 * A profile as a user writes it: a YAML document. All keys but `id` may come from the profile that it extends. Durations
 * like "12 hours" become seconds, sizes become bytes.
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
  on_stall: Schema.optional(Schema.Literal("warn", "cancel")),
  /** The longest time that each phase may take. */
  timeouts: Schema.optional(Timeouts),
  retry: Schema.optional(Retry),
  placement: Schema.optional(Placement),
  prepare: Schema.optional(Prepare),
  hardware: Schema.optional(Hardware),
  inputs: Schema.optional(
    Schema.Record({ key: Schema.String, value: ProfileInput }).annotations({ title: "inputs by their names" })
  ),
  hub: Schema.optional(HubKeys)
}) {}

/** A profile with everything that it extends merged in. `file` is the local path where it was found. */
export interface Profile {
  readonly document: ProfileDocument
  readonly file: string
  /** The folder of its file. */
  readonly folder: string
  /**
   * The folder of the file that sets a key: its own, or that of a profile that it extends. Paths in the value are relative
   * to this folder.
   */
  readonly folderOf: (keys: ReadonlyArray<string>) => string
  /** The profiles that set a key, and where: itself and those that it extends, the most specific one first. */
  readonly saidBy: (
    keys: ReadonlyArray<string>
  ) => ReadonlyArray<{ readonly id: string; readonly location: Location }>
  /** "shipped", or the folder of profiles where it was found. */
  readonly origin: string
  /** Files of profiles with the same id that it takes precedence over. */
  readonly shadows: ReadonlyArray<string>
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Merges two documents key by key. `specific` wins; a list or a scalar of it replaces the whole value. */
export const merge = (
  base: Readonly<Record<string, unknown>>,
  specific: Readonly<Record<string, unknown>>
): Record<string, unknown> => {
  const merged = new Map(Object.entries(base))
  for (const [key, value] of Object.entries(specific)) {
    const below = merged.get(key)
    merged.set(key, isPlain(below) && isPlain(value) ? merge(below, value) : value)
  }
  return Object.fromEntries(merged)
}

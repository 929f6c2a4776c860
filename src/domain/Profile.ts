import * as Schema from "effect/Schema"
import type { Location } from "./Errors.js"
import { FailureReason } from "./Failure.js"
import { ProfileInput } from "./Input.js"
import { NoteLevel } from "./Note.js"
import { type PhaseName, phases } from "./Phase.js"
import { DurationSeconds, SizeBytes } from "./Units.js"

export const ProfileId = Schema.String.pipe(
  Schema.pattern(/^profile\.[a-z0-9][a-z0-9.-]*$/, {
    message: () => 'Expected "profile." and a name of small letters, digits, dots and dashes'
  })
)

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
}).annotations({ title: "the keys of prepare" })
export type Prepare = typeof Prepare.Type

const mebibyte = 1024 ** 2
const aMemory = 'Expected a size of 1 MiB or more like "2 GiB", or a number of MiB'

/** Hardware that the descriptor of an OVA names, and no image tells; it wins over what the template says. */
export const Hardware = Schema.Struct({
  cpus: Schema.optional(Schema.Int.pipe(Schema.between(1, 1024))),
  /** In bytes; it may be written as a number of MiB, as in templates. */
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
  /** Network cards. */
  nics: Schema.optional(Schema.Int.pipe(Schema.between(0, 10))),
  /** A name like "debian" or "Ubuntu_64"; what it is an instance of is found by it. */
  osType: Schema.optional(Schema.NonEmptyString)
}).annotations({ title: "the keys of hardware" })
export type Hardware = typeof Hardware.Type

const Placement = Schema.Struct({
  host: Schema.optional(Schema.String),
  requires: Schema.optional(
    Schema.Struct({
      commands: Schema.optional(Schema.Array(Schema.String)),
      /** Bytes that must be free where the image is built. */
      freeDisk: Schema.optional(SizeBytes)
    }).annotations({ title: "the keys of requires" })
  )
}).annotations({ title: "the keys of placement" })

const HubKeys = Schema.Struct({
  workstream: Schema.optional(Schema.String),
  task: Schema.optional(Schema.String),
  /** What it is told of: phases and how it ends, everything, or what goes wrong alone. */
  notes: Schema.optional(NoteLevel),
  /** Heartbeats are told once in this time at most. */
  every: Schema.optional(DurationSeconds)
}).annotations({ title: "the keys of hub" })

/** When a provision that failed is tried again. */
export const Retry = Schema.Struct({
  /** How many times more. */
  times: Schema.Int.pipe(Schema.between(1, 100)),
  /** For these reasons alone; without it, for those that may be gone the next time. */
  on: Schema.optional(Schema.Array(FailureReason).annotations({ title: "a list of failure reasons" })),
  /** How long before the first time more; twice as long before each further one. */
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
  on_stall: Schema.optional(Schema.Literal("warn", "cancel")),
  /** How long each phase may take. */
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

/** A profile with what it extends merged in, and where it was found: `file` is a local path. */
export interface Profile {
  readonly document: ProfileDocument
  readonly file: string
  /** The folder of its file. */
  readonly folder: string
  /** The folder of the file that a key was written in, its own or one that it extends: paths there are relative to it. */
  readonly folderOf: (keys: ReadonlyArray<string>) => string
  /** Which profiles say something of a key, itself and those that it extends, and where: the most specific one first. */
  readonly saidBy: (
    keys: ReadonlyArray<string>
  ) => ReadonlyArray<{ readonly id: string; readonly location: Location }>
  /** "shipped", or the folder of profiles that it was found in. */
  readonly origin: string
  /** Files of profiles with the same id that it stands in for. */
  readonly shadows: ReadonlyArray<string>
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Merges documents key by key, the more specific one last; lists and scalars are replaced whole. */
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

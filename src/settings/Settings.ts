/** Every configuration key, resolved once: a flag wins over the environment, that over the configuration file, that over the default. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import type { Connection } from "../domain/Placement.js"
import { DurationSeconds } from "../domain/Units.js"
import { type DocumentKind, read } from "./Documents.js"
import * as HubSettings from "./HubSettings.js"
import { Timing } from "./Timing.js"

/** A machine behind SSH. `local` is this machine, for which only `slots` has a meaning. */
const HostKeys = Schema.Struct({
  /** Its name or address; by default its key in `hosts`. */
  host: Schema.optional(Schema.NonEmptyString),
  user: Schema.optional(Schema.NonEmptyString),
  port: Schema.optional(Schema.Int.pipe(Schema.between(1, 65_535))),
  identityFile: Schema.optional(Schema.NonEmptyString),
  /** How many provisions it runs at once; unlimited by default. */
  slots: Schema.optional(Schema.Int.pipe(Schema.positive()))
}).annotations({ title: "the keys of a host" })

/** Keys of the configuration file. */
const ConfigFile = Schema.Struct({
  home: Schema.optional(Schema.String),
  profiles: Schema.optional(Schema.String),
  hosts: Schema.optional(
    Schema.Record({ key: Schema.String, value: HostKeys }).annotations({ title: "hosts by their names" })
  ),
  portRegistry: Schema.optional(Schema.NonEmptyString),
  retention: Schema.optional(DurationSeconds),
  hub: Schema.optional(HubSettings.HubKeys)
})

/** Values from the command line or an embedding program: they win over the environment and the file. */
export interface SettingsOverrides {
  readonly home?: string
  /** A folder of profiles that is searched first. */
  readonly profiles?: string
  /** The configuration file; it must exist. */
  readonly config?: string
}

export interface ProfileFolder {
  readonly path: string
  readonly origin: "flag" | "project" | "configuration" | "shipped"
}

/** A host from the configuration. */
export interface HostSettings {
  readonly connection: Connection
  readonly slots: number | undefined
}

export interface SettingsShape {
  /** Where state lives; private to the user. */
  readonly home: string
  /** Folders to search for profiles; the first that has a profile wins. */
  readonly profileFolders: ReadonlyArray<ProfileFolder>
  /** The absolute path of the configuration file, if a flag or the environment named one. */
  readonly namedConfiguration?: string
  /** Hosts by name; `local` only if the configuration has it. */
  readonly hosts: Readonly<Record<string, HostSettings>>
  /** A file that other programs write, with machines by their `vm_name`. */
  readonly portRegistry?: string
  /** The token that clients of `hub serve` must send: STATE_HUB_TOKEN. */
  readonly hubServerToken?: Redacted.Redacted
  /** How long the record and the log of a destroyed sandbox are kept. */
  readonly retentionSeconds: number
  /** The State Hub, if one is configured. */
  readonly hub?: HubSettings.HubSettings
  /** Each key with its value and origin, to be shown. */
  readonly sources: ReadonlyArray<{ readonly key: string; readonly value: string; readonly from: string }>
}

/** @category services */
export class Settings extends Context.Tag("sandboxer/Settings")<Settings, SettingsShape>() {}

/**
 * Default settings with the given state directory.
 * @category layers
 */
export const layerHome = (home: string, more: Partial<SettingsShape> = {}): Layer.Layer<Settings> =>
  Layer.effect(
    Settings,
    Effect.map(Timing, ({ sandboxes }) => ({
      home,
      profileFolders: [],
      hosts: {},
      retentionSeconds: Duration.toSeconds(sandboxes.retention),
      sources: [],
      ...more
    }))
  )

export interface SettingsInput {
  readonly overrides: SettingsOverrides
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly workingDirectory: string
  /** The folder of the profiles that ship with sandboxer. */
  readonly shipped: string
}

const keysOf: Readonly<Record<string, ReadonlyArray<string>>> = {
  "": Object.keys(ConfigFile.fields),
  hosts: Object.keys(HostKeys.fields),
  hub: Object.keys(HubSettings.HubKeys.fields)
}

const known = (below: string) => {
  const keys = keysOf[below] ?? []
  return { keys, hint: `keys of ${below === "" ? "a configuration file" : below} are ${keys.join(", ")}` }
}

const kind: DocumentKind = {
  reason: "configuration",
  name: "a configuration file",
  begin: known("").hint,
  mayBeEmpty: true
}

const readFile = (file: string, named: boolean) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (!named && !(yield* Effect.orElseSucceed(fs.exists(file), () => false))) return {}
    const { keys, locate } = yield* read(file, kind)
    return yield* Effect.mapError(
      Schema.decodeUnknown(ConfigFile)(keys, { onExcessProperty: "error" }),
      (error) => {
        const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
        const path = issue?.path ?? []
        const wrong = (message: string, hint: string) =>
          new UsageError({ reason: "configuration", message, hint, location: { file, ...locate(path) } })
        const key = String(path.at(-1) ?? "")
        const all = known(path.length === 1 ? "" : String(path[0] ?? ""))
        return issue?._tag === "Unexpected"
          ? wrong(`unknown key ${key}`, didYouMean(key, all.keys, all.hint))
          : wrong(`${path.map(String).join(".")}: ${issue?.message.split("\n").at(-1)}`, all.hint)
      }
    )
  })

/** Resolves the settings; fails if neither HOME nor SANDBOXER_HOME says where state lives. */
export const resolve = (
  input: SettingsInput
): Effect.Effect<SettingsShape, UsageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const { environment, overrides, workingDirectory } = input
    // An empty variable counts as unset.
    const variable = (name: string) => environment[name] || undefined
    // The XDG specification says to ignore a relative path.
    const folder = (name: string, below: string) => {
      const [given, home] = [variable(name), variable("HOME")]
      return given !== undefined && path.isAbsolute(given)
        ? given
        : home === undefined
          ? undefined
          : path.join(home, below)
    }
    const configFolder = folder("XDG_CONFIG_HOME", ".config")
    const namedFile = overrides.config ?? variable("SANDBOXER_CONFIG")
    const configFile =
      namedFile !== undefined
        ? path.resolve(workingDirectory, namedFile)
        : configFolder === undefined
          ? undefined
          : path.join(configFolder, "sandboxer", "config.yaml")
    const file = configFile === undefined ? {} : yield* readFile(configFile, namedFile !== undefined)

    const pick = (
      flag: string | undefined,
      name: string,
      inFile: string | undefined,
      fallback: string | undefined
    ) => {
      const set = variable(name)
      return flag !== undefined
        ? { value: path.resolve(workingDirectory, flag), from: "flag" }
        : set !== undefined
          ? { value: path.resolve(workingDirectory, set), from: `environment ${name}` }
          : inFile !== undefined && configFile !== undefined
            ? { value: path.resolve(path.dirname(configFile), inFile), from: configFile }
            : fallback !== undefined
              ? { value: fallback, from: "default" }
              : undefined
    }

    const stateFolder = folder("XDG_STATE_HOME", ".local/state")
    const state = pick(
      overrides.home,
      "SANDBOXER_HOME",
      file.home,
      stateFolder === undefined ? undefined : path.join(stateFolder, "sandboxer")
    )
    if (state === undefined) {
      return yield* new UsageError({
        reason: "configuration",
        message: "there is no state directory: neither HOME nor SANDBOXER_HOME is set",
        hint: "set SANDBOXER_HOME to a folder of yours"
      })
    }
    const profiles = pick(overrides.profiles, "SANDBOXER_PROFILES", file.profiles, undefined)
    const profileFolders: Array<ProfileFolder> = []
    if (profiles !== undefined) profileFolders.push({ path: profiles.value, origin: "flag" })
    profileFolders.push({ path: path.join(workingDirectory, "profiles"), origin: "project" })
    if (configFolder !== undefined) {
      profileFolders.push({ path: path.join(configFolder, "sandboxer", "profiles"), origin: "configuration" })
    }
    // In a checkout of sandboxer itself, the project's profiles are the shipped ones.
    const folders = profileFolders.filter((one) => one.path !== path.resolve(input.shipped))
    folders.push({ path: path.resolve(input.shipped), origin: "shipped" })
    const retentionSeconds = file.retention ?? Duration.toSeconds((yield* Timing).sandboxes.retention)
    const beside = (name: string) => path.resolve(path.dirname(configFile ?? workingDirectory), name)
    const hosts = Object.entries(file.hosts ?? {}).map(([name, host]): [string, HostSettings] => [
      name,
      {
        connection: {
          host: host.host ?? name,
          port: host.port ?? null,
          user: host.user ?? null,
          identityFile: host.identityFile === undefined ? null : beside(host.identityFile)
        },
        slots: host.slots
      }
    ])
    const from = configFile ?? ""
    const hub = yield* HubSettings.resolve({
      file: file.hub ?? {},
      fileName: from,
      url: variable("STATE_HUB_URL"),
      token: variable("STATE_HUB_TOKEN"),
      beside
    })
    const hubServerToken = variable("STATE_HUB_TOKEN")
    return {
      home: state.value,
      hosts: Object.fromEntries(hosts),
      retentionSeconds,
      ...(file.portRegistry === undefined ? {} : { portRegistry: beside(file.portRegistry) }),
      ...(hub === undefined ? {} : { hub: hub.hub }),
      ...(hubServerToken === undefined ? {} : { hubServerToken: Redacted.make(hubServerToken) }),
      profileFolders: folders,
      ...(namedFile === undefined || configFile === undefined ? {} : { namedConfiguration: configFile }),
      sources: [
        { key: "home", ...state },
        {
          key: "configuration",
          value: configFile ?? "",
          from: namedFile === undefined ? "default" : "named"
        },
        ...(profiles === undefined ? [] : [{ key: "profiles", ...profiles }]),
        ...(hosts.length === 0
          ? []
          : [{ key: "hosts", value: hosts.map(([name]) => name).join(", "), from }]),
        ...(hub === undefined ? [] : [{ key: "hub", value: hub.hub.endpoint, from: hub.from }]),
        ...(file.portRegistry === undefined
          ? []
          : [{ key: "portRegistry", value: beside(file.portRegistry), from }]),
        {
          key: "retention",
          value: `${retentionSeconds} s`,
          from: file.retention === undefined ? "default" : from
        }
      ]
    }
  })

/** @category layers */
export const layer = (
  input: SettingsInput
): Layer.Layer<Settings, UsageError, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(Settings, resolve(input))

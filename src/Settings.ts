/** Every configuration key: flag > environment > configuration file > default, resolved once. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { parse } from "yaml"
import { UsageError } from "./domain/Errors.js"

/** Keys of the configuration file. */
const ConfigFile = Schema.Struct({
  home: Schema.optional(Schema.String),
  profiles: Schema.optional(Schema.String)
})

/** What a command line or an embedding program says: it wins over the environment and the file. */
export interface SettingsOverrides {
  readonly home?: string
  /** A folder of profiles that is looked in first. */
  readonly profiles?: string
  /** The configuration file; it has to exist where it is named. */
  readonly config?: string
}

export interface ProfileFolder {
  readonly path: string
  readonly origin: "flag" | "project" | "configuration" | "shipped"
}

export interface SettingsShape {
  /** Where state lives; private to the user. */
  readonly home: string
  /** Folders that profiles are looked for in; the first that has one wins. */
  readonly profileFolders: ReadonlyArray<ProfileFolder>
  /** Each key, its value and where that came from, for people. */
  readonly sources: ReadonlyArray<{ readonly key: string; readonly value: string; readonly from: string }>
}

/** @category services */
export class Settings extends Context.Tag("sandboxer/Settings")<Settings, SettingsShape>() {}

export interface SettingsInput {
  readonly overrides: SettingsOverrides
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly workingDirectory: string
  /** The folder of the profiles that ship. */
  readonly shipped: string
}

const readFile = (file: string, named: boolean) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const wrong = (message: string) =>
      new UsageError({
        reason: "configuration",
        message: `${file}: ${message}`,
        hint: `keys of a configuration file are ${Object.keys(ConfigFile.fields).join(", ")}`
      })
    if (!named && !(yield* Effect.orElseSucceed(fs.exists(file), () => false))) return {}
    const text = yield* Effect.mapError(fs.readFileString(file), () => wrong("it cannot be read"))
    const document = yield* Effect.try({
      try: () => parse(text) as unknown,
      catch: (cause) => wrong(String(cause))
    })
    return yield* Effect.mapError(
      Schema.decodeUnknown(ConfigFile)(document ?? {}, { onExcessProperty: "error" }),
      (error) => wrong(error.message)
    )
  })

/** Resolves the settings; fails where neither HOME nor SANDBOXER_HOME says where state lives. */
export const resolve = (
  input: SettingsInput
): Effect.Effect<SettingsShape, UsageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const { environment, overrides, workingDirectory } = input
    const home = environment.HOME !== undefined && environment.HOME !== "" ? environment.HOME : undefined
    const configFolder =
      environment.XDG_CONFIG_HOME ?? (home === undefined ? undefined : path.join(home, ".config"))
    const configFile =
      overrides.config ??
      environment.SANDBOXER_CONFIG ??
      (configFolder === undefined ? undefined : path.join(configFolder, "sandboxer", "config.yaml"))
    const named = overrides.config !== undefined || environment.SANDBOXER_CONFIG !== undefined
    const file =
      configFile === undefined ? {} : yield* readFile(path.resolve(workingDirectory, configFile), named)

    const pick = (
      flag: string | undefined,
      variable: string,
      inFile: string | undefined,
      fallback: string | undefined
    ) =>
      flag !== undefined
        ? { value: path.resolve(workingDirectory, flag), from: "flag" }
        : environment[variable] !== undefined && environment[variable] !== ""
          ? { value: path.resolve(workingDirectory, environment[variable]), from: `environment ${variable}` }
          : inFile !== undefined && configFile !== undefined
            ? { value: path.resolve(path.dirname(configFile), inFile), from: configFile }
            : fallback !== undefined
              ? { value: fallback, from: "default" }
              : undefined

    const stateFolder =
      environment.XDG_STATE_HOME ?? (home === undefined ? undefined : path.join(home, ".local/state"))
    const state = pick(
      overrides.home,
      "SANDBOXER_HOME",
      file.home,
      stateFolder === undefined ? undefined : path.join(stateFolder, "sandboxer")
    )
    if (state === undefined) {
      return yield* new UsageError({
        reason: "configuration",
        message: "there is no place for state: neither HOME nor SANDBOXER_HOME is set",
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
    // In a checkout of sandboxer itself the project's profiles are those that ship.
    const folders = profileFolders.filter((folder) => folder.path !== path.resolve(input.shipped))
    folders.push({ path: path.resolve(input.shipped), origin: "shipped" })
    return {
      home: state.value,
      profileFolders: folders,
      sources: [
        { key: "home", ...state },
        { key: "configuration", value: configFile ?? "", from: named ? "named" : "default" },
        ...(profiles === undefined ? [] : [{ key: "profiles", ...profiles }])
      ]
    }
  })

/** @category layers */
export const layer = (
  input: SettingsInput
): Layer.Layer<Settings, UsageError, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(Settings, resolve(input))

/** Every configuration key: flag > environment > configuration file > default, resolved once. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { isMap, LineCounter, parseDocument, type Scalar } from "yaml"
import { UsageError } from "./domain/Errors.js"
import { didYouMean } from "./domain/Nearest.js"

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
  /** The configuration file, where one was named: absolute. */
  readonly namedConfiguration?: string
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

const keys = Object.keys(ConfigFile.fields)
const known = `keys of a configuration file are ${keys.join(", ")}`

const readFile = (file: string, named: boolean) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const counter = new LineCounter()
    const wrong = (message: string, offset = 0, hint = known) => {
      const { col, line } = counter.linePos(offset)
      const location = { file, line: Math.max(1, line), column: Math.max(1, col) }
      return new UsageError({ reason: "configuration", message, hint, location })
    }
    if (!named && !(yield* Effect.orElseSucceed(fs.exists(file), () => false))) return {}
    const text = yield* Effect.mapError(fs.readFileString(file), (error) =>
      wrong(
        error._tag === "SystemError" && error.reason === "NotFound"
          ? "there is no such file"
          : "it cannot be read"
      )
    )
    const document = parseDocument(text, { lineCounter: counter, stringKeys: true })
    const [error] = document.errors
    if (error !== undefined) {
      return yield* wrong(error.message.split(/ at line \d/)[0] ?? error.message, error.pos[0])
    }
    const written = yield* Effect.try({
      try: () => document.toJS() as unknown,
      catch: () => wrong("it has aliases that lead nowhere, or too many")
    })
    return yield* Effect.mapError(
      Schema.decodeUnknown(ConfigFile)(written ?? {}, { onExcessProperty: "error" }),
      (error) => {
        const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
        const key = String(issue?.path[0] ?? "")
        const items = isMap<Scalar>(document.contents) ? document.contents.items : []
        const offset = items.find((item) => item.key.value === key)?.key.range?.[0]
        return issue?._tag === "Unexpected"
          ? wrong(`unknown key ${key}`, offset, didYouMean(key, keys, known))
          : wrong(key === "" ? "it is no map of keys" : `${key}: ${issue?.message}`, offset)
      }
    )
  })

/** Resolves the settings; fails where neither HOME nor SANDBOXER_HOME says where state lives. */
export const resolve = (
  input: SettingsInput
): Effect.Effect<SettingsShape, UsageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const { environment, overrides, workingDirectory } = input
    // A variable that is set to nothing says nothing.
    const variable = (name: string) => environment[name] || undefined
    // The XDG specification has a relative path ignored.
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
    const folders = profileFolders.filter((one) => one.path !== path.resolve(input.shipped))
    folders.push({ path: path.resolve(input.shipped), origin: "shipped" })
    return {
      home: state.value,
      profileFolders: folders,
      ...(namedFile === undefined || configFile === undefined ? {} : { namedConfiguration: configFile }),
      sources: [
        { key: "home", ...state },
        {
          key: "configuration",
          value: configFile ?? "",
          from: namedFile === undefined ? "default" : "named"
        },
        ...(profiles === undefined ? [] : [{ key: "profiles", ...profiles }])
      ]
    }
  })

/** @category layers */
export const layer = (
  input: SettingsInput
): Layer.Layer<Settings, UsageError, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(Settings, resolve(input))

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { resolve, type SettingsInput } from "../../src/settings/Settings.js"

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sandboxer-settings-"))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const write = (name: string, text: string): string => {
  const file = join(root, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

const resolved = (input: Partial<SettingsInput>) =>
  resolve({
    overrides: {},
    environment: { HOME: join(root, "me") },
    workingDirectory: join(root, "work"),
    shipped: "/usr/lib/sandboxer/profiles",
    ...input
  }).pipe(Effect.provide(Layer.merge(NodeFileSystem.layer, NodePath.layer)))

const settings = (input: Partial<SettingsInput> = {}) => Effect.runPromise(resolved(input))
const refused = (input: Partial<SettingsInput>) => Effect.runPromise(Effect.flip(resolved(input)))

/** Writes the user's own configuration file. */
const configure = (text: string) => write("me/.config/sandboxer/config.yaml", text)

const sourceOf = async (key: string, input: Partial<SettingsInput> = {}) => {
  const { sources } = await settings(input)
  return sources.find((source) => source.key === key)
}

describe.each([
  ["home", "SANDBOXER_HOME"],
  ["profiles", "SANDBOXER_PROFILES"]
] as const)("%s", (key, variable) => {
  const environment = () => ({ HOME: join(root, "me"), [variable]: "from-env" })

  it("comes from the flag first", async () => {
    configure(`${key}: from-file\n`)
    expect(await sourceOf(key, { overrides: { [key]: "from-flag" }, environment: environment() })).toEqual({
      key,
      value: join(root, "work/from-flag"),
      from: "flag"
    })
  })

  it("comes from the environment if there is no flag", async () => {
    configure(`${key}: from-file\n`)
    expect(await sourceOf(key, { environment: environment() })).toEqual({
      key,
      value: join(root, "work/from-env"),
      from: `environment ${variable}`
    })
  })

  it("comes from the configuration file otherwise, relative to that file; an empty variable counts as unset", async () => {
    const file = configure(`${key}: from-file\n`)
    const value = join(root, "me/.config/sandboxer/from-file")
    expect(await sourceOf(key)).toEqual({ key, value, from: file })
    expect(await sourceOf(key, { environment: { HOME: join(root, "me"), [variable]: "" } })).toMatchObject({
      value
    })
  })

  it("may be an absolute path in each place", async () => {
    configure(`${key}: /srv/file\n`)
    expect(await sourceOf(key)).toMatchObject({ value: "/srv/file" })
    expect(await sourceOf(key, { overrides: { [key]: "/srv/flag" } })).toMatchObject({ value: "/srv/flag" })
  })
})

describe("the state's folder by default", () => {
  it("is in the user's home by default", async () => {
    expect(await sourceOf("home")).toEqual({
      key: "home",
      value: join(root, "me/.local/state/sandboxer"),
      from: "default"
    })
    expect((await settings()).home).toBe(join(root, "me/.local/state/sandboxer"))
  })

  it("is below XDG_STATE_HOME if that is absolute", async () => {
    const HOME = join(root, "me")
    const homeWith = async (environment: Record<string, string>) => (await settings({ environment })).home
    expect(await homeWith({ HOME, XDG_STATE_HOME: "/var/state" })).toBe("/var/state/sandboxer")
    expect(await homeWith({ XDG_STATE_HOME: "/var/state" })).toBe("/var/state/sandboxer")
    expect(await homeWith({ HOME, XDG_STATE_HOME: "" })).toBe(join(HOME, ".local/state/sandboxer"))
    expect(await homeWith({ HOME, XDG_STATE_HOME: "state" })).toBe(join(HOME, ".local/state/sandboxer"))
  })

  it("is an error with neither HOME nor SANDBOXER_HOME", async () => {
    const error = {
      _tag: "UsageError",
      reason: "configuration",
      message: "there is no state directory: neither HOME nor SANDBOXER_HOME is set",
      hint: "set SANDBOXER_HOME to a folder of yours"
    }
    expect(await refused({ environment: {} })).toMatchObject(error)
    expect(await refused({ environment: { HOME: "", SANDBOXER_HOME: "" } })).toMatchObject(error)
    expect((await settings({ environment: { SANDBOXER_HOME: "/srv/state" } })).home).toBe("/srv/state")
    expect((await settings({ environment: {}, overrides: { home: "state" } })).home).toBe(
      join(root, "work/state")
    )
  })
})

describe("folders of profiles", () => {
  it("are searched in this order: flag, project, configuration, shipped", async () => {
    const { profileFolders } = await settings({ overrides: { profiles: "mine" } })
    expect(profileFolders).toEqual([
      { path: join(root, "work/mine"), origin: "flag" },
      { path: join(root, "work/profiles"), origin: "project" },
      { path: join(root, "me/.config/sandboxer/profiles"), origin: "configuration" },
      { path: "/usr/lib/sandboxer/profiles", origin: "shipped" }
    ])
  })

  it("list the shipped folder once in a checkout of sandboxer", async () => {
    const shipped = join(root, "work/profiles")
    const { profileFolders } = await settings({ shipped })
    expect(profileFolders.map(({ origin, path }) => [origin, path])).toEqual([
      ["configuration", join(root, "me/.config/sandboxer/profiles")],
      ["shipped", shipped]
    ])
  })

  it("follow XDG_CONFIG_HOME, and work without HOME", async () => {
    const pathsWith = async (environment: Record<string, string>) =>
      (await settings({ environment })).profileFolders
        .filter(({ origin }) => origin === "configuration")
        .map(({ path }) => path)
    expect(await pathsWith({ HOME: "/home/me", XDG_CONFIG_HOME: "/etc/me" })).toEqual([
      "/etc/me/sandboxer/profiles"
    ])
    expect(await pathsWith({ HOME: "/home/me", XDG_CONFIG_HOME: "" })).toEqual([
      "/home/me/.config/sandboxer/profiles"
    ])
    expect(await pathsWith({ SANDBOXER_HOME: "/srv/state" })).toEqual([])
  })
})

describe("the configuration file", () => {
  it("may be missing or empty", async () => {
    const file = join(root, "me/.config/sandboxer/config.yaml")
    expect(await sourceOf("configuration")).toEqual({ key: "configuration", value: file, from: "default" })
    configure("# home: /srv\n")
    expect(await sourceOf("home")).toMatchObject({ from: "default" })
  })

  it("is named by the flag first, then by the environment", async () => {
    configure("home: /srv/default\n")
    const flagged = write("work/flag.yaml", "home: /srv/flag\n")
    write("work/conf/env.yaml", "home: state\n")
    const environment = { HOME: join(root, "me"), SANDBOXER_CONFIG: "conf/env.yaml" }
    expect(await sourceOf("home", { environment })).toMatchObject({ value: join(root, "work/conf/state") })
    const both = { environment, overrides: { config: "flag.yaml" } }
    expect(await sourceOf("home", both)).toMatchObject({ value: "/srv/flag" })
    expect(await sourceOf("configuration", both)).toEqual({
      key: "configuration",
      value: flagged,
      from: "named"
    })
    const empty = { HOME: join(root, "me"), SANDBOXER_CONFIG: "" }
    expect(await sourceOf("home", { environment: empty })).toMatchObject({ value: "/srv/default" })
  })

  it("must exist if it is named", async () => {
    expect(await refused({ overrides: { config: "nowhere.yaml" } })).toMatchObject({
      reason: "configuration",
      message: "there is no such file",
      location: { file: join(root, "work/nowhere.yaml") }
    })
    mkdirSync(join(root, "work/folder.yaml"), { recursive: true })
    expect(await refused({ overrides: { config: "folder.yaml" } })).toMatchObject({
      message: "it is not a file"
    })
  })

  it.each([
    ["home: [a\n", 2, 1, /^Flow sequence/],
    ["# Mine.\nhome: /srv\nhoem: /srv\n", 3, 1, /^unknown key hoem$/],
    ["\nhome: 5\n", 2, 1, /^home: Expected string, actual 5$/],
    ["home: /a\nhome: /b\n", 2, 1, /^Map keys must be unique$/],
    ["- home\n", 1, 1, /^it is not a map of keys$/],
    ["home\n", 1, 1, /^it is not a map of keys$/],
    ["constructor: 1\n", 1, 1, /^unknown key constructor$/],
    ["__proto__: { home: /srv }\n", 1, 1, /__proto__/],
    ["home: *nowhere\n", 1, 1, /alias|anchor/]
  ])("%j is rejected with its position", async (text, line, column, message) => {
    const file = configure(text)
    const error = await refused({})
    expect(error).toMatchObject({ _tag: "UsageError", reason: "configuration" })
    expect(error.location).toMatchObject({ file, line, ...(text.includes("*") ? {} : { column }) })
    expect(error.message).toMatch(message)
  })

  it("names hosts and the port registry, with paths relative to itself", async () => {
    const file = configure(
      "hosts:\n  kvm1: { host: 192.0.2.1, user: build, port: 2222, identityFile: keys/kvm1, slots: 2 }\n" +
        "  kvm2: {}\n  local: { slots: 1 }\nportRegistry: ../ports.yaml\n"
    )
    const { hosts, portRegistry, sources } = await settings()
    const plain = { port: null, user: null, identityFile: null }
    expect(hosts).toEqual({
      kvm1: {
        connection: {
          host: "192.0.2.1",
          port: 2222,
          user: "build",
          identityFile: join(dirname(file), "keys/kvm1")
        },
        slots: 2
      },
      kvm2: { connection: { host: "kvm2", ...plain }, slots: undefined },
      local: { connection: { host: "local", ...plain }, slots: 1 }
    })
    expect(portRegistry).toBe(join(root, "me/.config/ports.yaml"))
    expect(sources).toContainEqual({ key: "hosts", value: "kvm1, kvm2, local", from: file })
  })

  it.each([
    ["hosts:\n  kvm1:\n    usr: build\n", 3, 5, "unknown key usr", "did you mean user?"],
    [
      "hosts:\n  kvm1: { port: 70000 }\n",
      2,
      11,
      /^hosts\.kvm1\.port: Expected/,
      /keys of hosts are host, user/
    ],
    ["hosts: { kvm1: { slots: 0 } }\n", 1, 18, /^hosts\.kvm1\.slots: Expected/, /slots/]
  ])("%j is rejected with its position and a hint", async (text, line, column, message, hint) => {
    configure(text)
    const error = await refused({})
    expect(error.location).toMatchObject({ line, column })
    expect(error.message).toMatch(message)
    expect(error.hint).toMatch(hint)
  })

  it("with an unknown key gets a hint: the nearest key, or all keys", async () => {
    configure("profile: /srv\n")
    expect((await refused({})).hint).toBe("did you mean profiles?")
    configure("frobnicate: 1\n")
    expect((await refused({})).hint).toContain("home, profiles")
  })
})

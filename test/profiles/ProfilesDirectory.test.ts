import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { NotFound, UsageError } from "../../src/domain/Errors.js"
import * as Directory from "../../src/profiles/directory/ProfilesDirectory.js"
import { Profiles, type ProfilesShape } from "../../src/profiles/Profiles.js"
import { layerHome } from "../../src/settings/Settings.js"

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sandboxer-profiles-"))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Writes files below the root: `project/…` and `shipped/…` are looked in, in that order. */
const write = (files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
}

const run = <A, E>(use: (profiles: ProfilesShape) => Effect.Effect<A, E>, named?: string) =>
  Effect.flatMap(Profiles, use).pipe(
    Effect.provide(
      Directory.layer.pipe(
        Layer.provide(
          layerHome(join(root, "home"), {
            profileFolders: [
              ...(named === undefined ? [] : [{ path: join(root, named), origin: "flag" as const }]),
              { path: join(root, "project"), origin: "project" },
              { path: join(root, "shipped"), origin: "shipped" }
            ]
          })
        ),
        Layer.provide(Layer.merge(NodeFileSystem.layer, NodePath.layer))
      )
    ),
    Effect.runPromise
  )

const get = (id: string) => run((profiles) => profiles.get(id))
const list = () => run((profiles) => profiles.list)

/** An error as it is told: `FILE:LINE:COLUMN: message`, the file below the root, and the hint. */
const told = (error: UsageError | NotFound) => {
  const location = error._tag === "UsageError" ? error.location : undefined
  const where =
    location === undefined
      ? ""
      : `${location.file.replace(`${root}/`, "")}:${location.line}:${location.column}: `
  return {
    said: `${where}${error.message}`.replaceAll(`${root}/`, ""),
    hint: error.hint.replaceAll(`${root}/`, "")
  }
}
const wrong = (id: string) => run((profiles) => Effect.map(Effect.flip(profiles.get(id)), told))

describe("a profile", () => {
  it("is a file in a folder, or a folder of its own", async () => {
    write({
      "project/a.yaml": "id: profile.a\nmode: build\n",
      "project/b.yml": "id: profile.b\n",
      "project/c/profile.yaml": "id: profile.c\n",
      "project/c/template.yaml": "id: profile.template\n",
      "project/no-profile/readme.yaml": "id: profile.readme\n",
      "project/notes.txt": "id: profile.notes\n",
      "project/.a.yaml.swp.yaml": "id: profile.hidden\n"
    })
    expect((await list()).map((entry) => [entry._tag, entry.id])).toEqual([
      ["Usable", "profile.a"],
      ["Usable", "profile.b"],
      ["Usable", "profile.c"]
    ])
    expect(await get("profile.a")).toMatchObject({
      document: { id: "profile.a", mode: "build" },
      file: join(root, "project/a.yaml"),
      folder: join(root, "project"),
      origin: "project"
    })
    expect(await get("profile.c")).toMatchObject({ folder: join(root, "project/c") })
  })

  it("is read each time, so that edits count at once", async () => {
    const asked = (profiles: ProfilesShape) =>
      Effect.map(profiles.get("profile.a"), ({ document }) => document.mode)
    const written = (mode: string) =>
      Effect.sync(() => write({ "project/a.yaml": `id: profile.a\nmode: ${mode}\n` }))
    const modes = await run((profiles) =>
      Effect.all([
        written("build"),
        asked(profiles),
        asked(profiles),
        written("other"),
        asked(profiles),
        written("build"),
        asked(profiles)
      ])
    )
    expect(modes.filter((mode) => mode !== undefined)).toEqual(["build", "build", "other", "build"])
  })

  it("is found by its short name", async () => {
    write({ "shipped/a.yaml": "id: profile.a\n" })
    expect((await get("a")).document.id).toBe("profile.a")
  })

  it("has durations in seconds and sizes in bytes", async () => {
    write({
      "shipped/a.yaml": "id: profile.a\nttl: 1h30m\nplacement: { requires: { freeDisk: 2 GiB } }\n"
    })
    expect((await get("a")).document).toMatchObject({
      ttl: 5400,
      placement: { requires: { freeDisk: 2 * 1024 ** 3 } }
    })
  })

  it("may use anchors and aliases", async () => {
    write({ "shipped/a.yaml": "id: profile.a\nttl: &hour 1 hour\ntimeout: *hour\n" })
    expect((await get("a")).document).toMatchObject({ ttl: 3600, timeout: 3600 })
  })

  it("that does not exist is reported with the nearest one", async () => {
    write({ "shipped/tiny-linux.yaml": "id: profile.tiny-linux\n" })
    expect(await wrong("tiny-linx")).toEqual({
      said: "no profile tiny-linx",
      hint: "did you mean profile.tiny-linux?"
    })
    expect(await wrong("profile.frobnicate")).toEqual({
      said: "no profile profile.frobnicate",
      hint: "`sandboxer profile list` shows those that there are"
    })
    expect((await wrong("constructor")).said).toBe("no profile constructor")
  })
})

describe("a profile that extends another", () => {
  it("inherits keys, also over several levels, and overrides them", async () => {
    write({
      "shipped/base.yaml": `
id: profile.base
ttl: 12 hours
timeout: 8 hours
placement: { host: local, requires: { commands: [packer, qemu-img] } }
inputs: { cpus: { type: integer, default: 1 } }
`,
      "shipped/middle.yaml": `
id: profile.middle
extends: profile.base
mode: build
timeout: 1 hour
inputs: { cpus: { default: 2 }, memory: { type: size } }
`,
      "project/own.yaml": `
id: profile.own
extends: profile.middle
placement: { requires: { commands: [packer] } }
`
    })
    expect((await get("own")).document).toMatchObject({
      id: "profile.own",
      mode: "build",
      ttl: 43_200,
      timeout: 3600,
      placement: { host: "local", requires: { commands: ["packer"] } },
      inputs: { cpus: { type: "integer", default: 2 }, memory: { type: "size" } }
    })
  })

  it("needs its own id", async () => {
    write({
      "shipped/base.yaml": "id: profile.base\n",
      "project/own.yaml": "extends: profile.base\n"
    })
    expect(await wrong("own")).toMatchObject({ said: "project/own.yaml:1:1: id: is missing" })
  })

  it("has paths relative to the file in which each was written", async () => {
    write({
      "shipped/base/profile.yaml": `
id: profile.base
prepare: { command: [./make.sh], produces: disk, variable: disk }
inputs: { template: { default: ./base.json }, files: { default: [a] } }
`,
      "project/own.yaml": "id: profile.own\nextends: profile.base\ninputs: { files: { default: [b] } }\n"
    })
    const { folder, folderOf } = await get("own")
    expect(folder).toBe(join(root, "project"))
    expect(folderOf(["inputs", "template", "default"])).toBe(join(root, "shipped/base"))
    expect(folderOf(["prepare"])).toBe(join(root, "shipped/base"))
    expect(folderOf(["inputs", "files", "default"])).toBe(join(root, "project"))
    expect(folderOf(["inputs", "toString", "default"])).toBe(join(root, "project"))
  })

  it("reports a base that does not exist", async () => {
    write({
      "shipped/base.yaml": "id: profile.base\n",
      "project/own.yaml": "id: profile.own\nextends: profile.bse\n",
      "project/far.yaml": "id: profile.far\nextends: frobnicate\n"
    })
    expect(await wrong("own")).toEqual({
      said: "project/own.yaml:2:1: no profile profile.bse",
      hint: "did you mean profile.base?"
    })
    expect(await wrong("far")).toEqual({
      said: "project/far.yaml:2:1: no profile frobnicate",
      hint: "profiles are profile.far, profile.own, profile.base"
    })
  })

  it("reports a cycle", async () => {
    write({
      "project/a.yaml": "id: profile.a\nextends: profile.b\n",
      "project/b.yaml": "id: profile.b\n\nextends: profile.a\n",
      "project/self.yaml": "id: profile.self\nextends: profile.self\n"
    })
    expect(await wrong("a")).toEqual({
      said: "project/b.yaml:3:1: profiles extend each other: profile.a → profile.b → profile.a",
      hint: "take one of these `extends` out"
    })
    expect((await wrong("self")).said).toBe(
      "project/self.yaml:2:1: profiles extend each other: profile.self → profile.self"
    )
  })

  it("reports a mistake in the base with its place there", async () => {
    write({
      "shipped/base.yaml": "# Begins here.\nid: profile.base\ninputs:\n  cpus: { typ: integer }\n",
      "shipped/unread.yaml": "id: profile.unread\nttl: [\n",
      "shipped/part.yaml": "id: profile.part\nmode: build\nprepare: { command: [a], variable: b }\n",
      "project/a.yaml": "id: profile.a\nextends: profile.base\ninputs:\n  cpus: { default: 2 }\n",
      "project/b.yaml": "id: profile.b\nextends: profile.unread\n",
      "project/c.yaml": "id: profile.c\nextends: profile.part\n"
    })
    expect(await wrong("a")).toEqual({
      said: "shipped/base.yaml:4:11: unknown key typ",
      hint: "did you mean type?"
    })
    expect((await wrong("b")).said).toMatch(/^shipped\/unread\.yaml:3:1: /)
    expect((await wrong("c")).said).toBe("shipped/part.yaml:3:1: prepare.produces: is missing")
  })

  it("reports a mistake in its own file if it overrides the key", async () => {
    write({
      "shipped/base.yaml": "id: profile.base\n\n\nttl: 1 hour\n",
      "project/a.yaml": "id: profile.a\nextends: profile.base\nttl: soon\n"
    })
    expect((await wrong("a")).said).toBe(
      'project/a.yaml:3:1: ttl: Expected a duration like "90 seconds", "30 minutes" or "1h30m"'
    )
  })

  it("reports a hostile key in the file that has it", async () => {
    write({
      "shipped/base.yaml": "id: profile.base\n\nconstructor: 1\n",
      "project/a.yaml": "id: profile.a\nextends: profile.base\n"
    })
    expect((await wrong("a")).said).toBe("shipped/base.yaml:3:1: unknown key constructor")
  })
})

describe("mistakes in a profile are reported with their place", () => {
  const keys = "keys are id, description, extends, extension, mode, ttl, timeout, heartbeat, stall, "
  it.each([
    ["id: profile.a\nmod: build\n", "2:1: unknown key mod", "did you mean mode?"],
    ["id: profile.a\nfrobnicate: 1\n", "2:1: unknown key frobnicate", keys],
    ["id: profile.a\ntoString: 1\n", "2:1: unknown key toString", keys],
    ["id: profile.a\n__proto__: { mode: build }\n", "2:1: a key cannot be named __proto__", ""],
    ["id: profile.a\ninputs:\n  __proto__: { type: string }\n", "3:3: a key cannot be named __proto__", ""],
    ["id: profile.a\nplacement:\n  hst: local\n", "3:3: unknown key hst", "did you mean host?"],
    ["id: profile.a\nhub: { frobnicate: 1 }\n", "2:8: unknown key frobnicate", "keys are workstream, task"],
    ["id: profile.a\nprepare: { comand: [a] }\n", "2:12: unknown key comand", "did you mean command?"],
    ["mode: build\n", "1:1: id: is missing", ""],
    [
      "id: Profile A\n",
      '1:1: id: Expected "profile." and a name of small letters, digits, dots and dashes',
      ""
    ],
    ["id: [profile.a]\n", '1:1: id: Expected string, actual ["profile.a"]', ""],
    ["id: profile.a\nextends: 5\n", "2:1: extends: Expected string, actual 5", ""],
    [
      "id: profile.a\nttl: 90\n",
      '2:1: ttl: Expected a duration like "90 seconds", "30 minutes" or "1h30m"',
      ""
    ],
    [
      "id: profile.a\nplacement: { requires: { freeDisk: lots } }\n",
      '2:26: placement.requires.freeDisk: Expected a size like "20 GiB", "512M" or "1.5 GB"',
      ""
    ],
    ["id: profile.a\nplacement: here\n", '2:1: placement: Expected the keys of placement, actual "here"', ""],
    ["id: profile.a\ninputs:\n  cpus: 2\n", "3:3: inputs.cpus: Expected the keys of an input, actual 2", ""],
    ["id: profile.a\ninputs: [cpus]\n", '2:1: inputs: Expected inputs by their names, actual ["cpus"]', ""],
    [
      "id: profile.a\ninputs: { cpus: { type: int } }\n",
      "2:19: inputs.cpus.type: Expected one of string, path, integer, number, boolean, duration, size, secret, list, map, actual int",
      ""
    ],
    [
      "id: profile.a\ninputs: { cpus: { pattern: '[' } }\n",
      "2:19: inputs.cpus.pattern: it is no regular expression",
      ""
    ],
    ["id: profile.a\nid: profile.b\n", "2:1: Map keys must be unique", "a profile is one YAML document"],
    ["id: profile.a\nttl: '1 h\n", "3:1: Missing closing 'quote", "a profile is one YAML document"],
    [
      "id: profile.a\n---\nid: profile.b\n",
      "2:1: a second document begins here",
      "a profile is one YAML document"
    ],
    ["? [a]\n: b\n", "1:3: a key must be a string", "a profile is one YAML document"],
    ["", "1:1: it is empty", "begin with `id: profile.NAME`"],
    ["# Nothing but this.\n", "1:1: it is empty", "begin with `id: profile.NAME`"],
    ["- id: profile.a\n", "1:1: it is not a map of keys", "begin with `id: profile.NAME`"],
    ["profile.a\n", "1:1: it is not a map of keys", "begin with `id: profile.NAME`"],
    ["\0\x01\x02", "1:", ""]
  ])("%j", async (text, said, hint) => {
    write({ "project/a.yaml": text })
    const [entry, ...others] = await list()
    expect(others).toEqual([])
    expect(entry).toMatchObject({ _tag: "Broken", file: join(root, "project/a.yaml") })
    const error = entry?._tag === "Broken" ? told(entry.error) : { said: "", hint: "" }
    expect(error.said.slice(0, `project/a.yaml:${said}`.length)).toBe(`project/a.yaml:${said}`)
    expect(error.hint).toContain(hint)
    expect(Object.hasOwn(Object.prototype, "mode")).toBe(false)
  })

  it.each([
    ["an alias of nothing", "id: profile.a\nttl: *hour\n", "2:6: there is no anchor &hour before *hour"],
    [
      "a thing within itself",
      "id: profile.a\ninputs: &all { a: { default: *all } }\n",
      "2:30: *all contains itself"
    ],
    [
      "a billion laughs",
      `id: profile.a\na: &a [x, x]\n${Array.from({ length: 30 }, (_, n) => {
        const [name, below] = [`b${n}`, n === 0 ? "a" : `b${n - 1}`]
        return `${name}: &${name} [${`*${below}, `.repeat(9)}*${below}]`
      }).join("\n")}\n`,
      "1:1: it has too many aliases"
    ]
  ])("anchors gone wild: %s", async (_, text, said) => {
    write({ "project/a.yaml": text })
    expect((await run((profiles) => Effect.map(profiles.list, (entries) => entries)))[0]).toMatchObject({
      _tag: "Broken",
      error: { message: said.replace(/^\d+:\d+: /, "") }
    })
    expect((await wrong("a")).said).toBe(`project/a.yaml:${said}`)
  })

  it("lists in lists in lists", async () => {
    write({ "project/a.yaml": `id: profile.a\nttl: ${"[".repeat(3000)}` })
    expect((await wrong("a")).said).toMatch(/^project\/a\.yaml:2:\d+: it is nested too deeply$/)
  })

  it("a file of 10 MB, a folder, a broken link", async () => {
    write({ "project/big.yaml": `id: profile.big\ndescription: ${"x".repeat(10_000_000)}\n` })
    mkdirSync(join(root, "project/folder.yaml"))
    symlinkSync(join(root, "nowhere"), join(root, "project/link.yaml"))
    const errors = (await list()).map((entry) => (entry._tag === "Broken" ? told(entry.error).said : ""))
    expect(errors).toEqual([
      "project/big.yaml:1:1: it is too large: 10000030 bytes",
      "project/folder.yaml:1:1: it is not a file",
      "project/link.yaml:1:1: there is no such file"
    ])
  })
})

describe("a broken profile", () => {
  it("does not affect others", async () => {
    write({
      "project/a.yaml": "id: profile.a\n",
      "project/broken.yaml": "id: profile.broken\nmode: [\n",
      "shipped/c.yaml": "id: profile.c\nextends: profile.a\n"
    })
    expect((await list()).map((entry) => [entry.id, entry._tag])).toEqual([
      ["profile.a", "Usable"],
      ["profile.broken", "Broken"],
      ["profile.c", "Usable"]
    ])
    expect((await get("c")).document.extends).toBe("profile.a")
  })

  it("is named after its file or folder if it has no id", async () => {
    write({ "project/one.yaml": "[", "project/two/profile.yaml": "[", "project/three.yaml": "id: 3\n" })
    expect((await list()).map(({ id }) => id)).toEqual(["profile.one", "profile.three", "profile.two"])
  })

  it("is not skipped in favour of a valid one of the same id", async () => {
    write({ "project/a.yaml": "id: profile.a\nmod: x\n", "shipped/a.yaml": "id: profile.a\n" })
    expect((await wrong("a")).said).toBe("project/a.yaml:2:1: unknown key mod")
  })
})

describe("several profiles with one id", () => {
  it("the first folder wins, and the profile says which it shadows", async () => {
    write({
      "project/mine.yaml": "id: profile.a\nmode: attach\n",
      "shipped/a.yaml": "id: profile.a\nmode: build\n",
      "shipped/b.yaml": "id: profile.b\nextends: profile.a\n"
    })
    expect((await get("a")).document.mode).toBe("attach")
    expect((await get("b")).document.mode).toBe("attach")
    const entries = await list()
    expect(entries.map((entry) => entry._tag === "Usable" && [entry.id, entry.profile.shadows])).toEqual([
      ["profile.a", [join(root, "shipped/a.yaml")]],
      ["profile.b", []]
    ])
  })

  it("within a folder, the first file name wins", async () => {
    write({
      "project/b.yaml": "id: profile.same\nmode: second\n",
      "project/a.yaml": "id: profile.same\nmode: first\n"
    })
    expect((await get("same")).document.mode).toBe("first")
    expect(await list()).toMatchObject([{ profile: { shadows: [join(root, "project/b.yaml")] } }])
  })
})

it("an id is found in any YAML notation", async () => {
  write({
    "project/x.yaml": 'id: "profile.\\x61"\nmode: attach\n',
    "project/y.yaml": "id: profile.b\nextends: profile.a\n"
  })
  expect((await get("a")).document.mode).toBe("attach")
  expect((await get("b")).document.mode).toBe("attach")
})

describe("a profile given as a file", () => {
  it("is read from any place and may extend the profiles that are found", async () => {
    write({
      "shipped/base.yaml": "id: profile.base\nmode: build\n",
      "elsewhere/x.yaml": "id: profile.x\nextends: profile.base\n"
    })
    const file = join(root, "elsewhere/x.yaml")
    expect(await run((profiles) => profiles.read(file))).toMatchObject({
      document: { id: "profile.x", mode: "build" },
      file,
      origin: "named"
    })
  })

  it("must exist", async () => {
    const file = join(root, "nowhere.yaml")
    expect(await run((profiles) => Effect.flip(profiles.read(file)))).toMatchObject({
      _tag: "NotFound",
      message: `no file ${file}`
    })
  })
})

describe("a folder given with --profiles", () => {
  it("is searched first", async () => {
    write({ "named/a.yaml": "id: profile.a\nmode: named\n", "project/a.yaml": "id: profile.a\nmode: own\n" })
    const profile = await run((profiles) => profiles.get("a"), "named")
    expect(profile).toMatchObject({ document: { mode: "named" }, origin: "flag" })
  })

  it("must exist, so that no other one is used by mistake", async () => {
    write({ "project/a.yaml": "id: profile.a\n" })
    const error = { _tag: "UsageError", reason: "configuration" }
    expect(await run((profiles) => Effect.flip(profiles.get("a")), "nowhere")).toMatchObject(error)
    expect(
      await run((profiles) => Effect.flip(profiles.read(join(root, "project/a.yaml"))), "nowhere")
    ).toMatchObject(error)
    expect(await run((profiles) => profiles.list, "nowhere")).toMatchObject([
      { _tag: "Broken", file: join(root, "nowhere"), error },
      { _tag: "Usable", id: "profile.a" }
    ])
  })

  it("may be missing if it is a default one", async () => {
    expect(await list()).toEqual([])
  })
})

import { mkdirSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { platform, temporaryFolder } from "../../../support/inMemory.js"
import { attachPlan } from "./attachWorld.js"

type Inputs = Readonly<Record<string, unknown>>

const refusal = (...given: Parameters<typeof attachPlan>) =>
  Effect.map(Effect.flip(attachPlan(...given)), ({ hint, message }) => ({ message, hint }))

const connection = { host: "10.0.0.5", port: 2222, user: "builder", identityFile: null }
const hosts = { kvm1: { connection, slots: undefined } }

describe("the placement of attach mode", () => {
  const placements: ReadonlyArray<readonly [string, Inputs, object]> = [
    ["is a host of the configuration", { host: "kvm1" }, { host: "kvm1" }],
    [
      "is a host of the configuration with another user",
      { host: "kvm1", user: "me" },
      { host: "kvm1", connection: { ...connection, user: "me" } }
    ],
    [
      "is any other host, with its connection",
      { host: "build.example", port: 22 },
      {
        host: "build.example",
        connection: { host: "build.example", port: 22, user: null, identityFile: null }
      }
    ],
    ["is this machine", { host: "local" }, { host: "local" }]
  ]
  it.effect.each(placements)("%s", ([, inputs, placement]) =>
    Effect.gen(function* () {
      expect((yield* attachPlan(inputs, { hosts })).placement).toEqual(placement)
    })
  )

  it.effect("is the profile's host by default", () =>
    Effect.gen(function* () {
      expect((yield* attachPlan({}, { hosts }, { host: "kvm1" })).placement).toEqual({ host: "kvm1" })
    })
  )

  it.effect("is required, and the error lists the hosts of the configuration", () =>
    Effect.gen(function* () {
      expect(yield* refusal({}, { hosts })).toEqual({
        message: "input host is missing",
        hint: "give it: -i host=…; the configuration has kvm1"
      })
    })
  )

  it.effect("of this machine has no port, user or key", () =>
    Effect.gen(function* () {
      expect((yield* refusal({ host: "local", port: 22 })).message).toContain("without a port")
    })
  )

  it.scoped("takes from the port registry what is not given", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const portRegistry = `${folder}/ports.yaml`
      writeFileSync(
        portRegistry,
        "haskell: { host: 127.0.0.1, port: 2201, user: builder, note: ours }\nbad: { host: x, port: many }\n"
      )
      const settings = { hosts, portRegistry }
      const placed = yield* attachPlan({ vm_name: "haskell", user: "me" }, settings)
      expect(placed.placement).toEqual({
        host: "127.0.0.1",
        connection: { host: "127.0.0.1", port: 2201, user: "me", identityFile: null }
      })
      expect(placed.defaultName).toBe("haskell")
      expect(yield* refusal({ vm_name: "haskel" }, settings)).toEqual({
        message: `input vm_name: ${portRegistry} has no haskel`,
        hint: "did you mean haskell?"
      })
      expect(yield* Effect.flip(attachPlan({ vm_name: "bad" }, settings))).toMatchObject({
        message: expect.stringContaining("bad.port"),
        location: { file: portRegistry, line: 2 }
      })
      // Where the host is given, the registry need not know it.
      expect((yield* attachPlan({ vm_name: "other", host: "kvm1" }, settings)).placement).toEqual({
        host: "kvm1"
      })
    }).pipe(Effect.provide(platform))
  )

  it.effect("fails with a hint for a vm_name without a registry", () =>
    Effect.gen(function* () {
      expect((yield* refusal({ vm_name: "haskell" })).hint).toContain("portRegistry")
    })
  )
})

describe("attach mode refuses", () => {
  const command = { host: "kvm1", command: "make" }
  const cases: ReadonlyArray<readonly [string, Inputs, string]> = [
    ["a project that does not exist", { host: "kvm1", project: "/nowhere/project" }, "there is no folder"],
    ["a key that does not exist", { host: "kvm1", identity_file: "/nowhere/key" }, "there is no file"],
    ["collect without a command", { host: "kvm1", collect: ["dist"] }, "needs a command"],
    ["into without a command", { host: "kvm1", into: "/tmp/x" }, "needs a command"],
    ["an empty command", { host: "kvm1", command: "  " }, "empty"],
    [
      "workdir together with a fresh workspace",
      { ...command, workdir: "/srv/x", workspace: "fresh" },
      "fresh cannot be combined"
    ],
    ...["/", "//", "/.", "~", "~/", "$HOME", `\${HOME}/`, "", " ", "."].map(
      (workdir) =>
        [`workdir ${JSON.stringify(workdir)}`, { ...command, workdir }, "cannot be a workspace"] as const
    ),
    ["a workdir that contains ..", { ...command, workdir: "/srv/../home" }, "contains .."],
    ...["/etc/passwd", "~/x", "../x", "a/../../x", "", "**/x", "receipt.json"].map(
      (pattern) => [`collect ${pattern}`, { ...command, collect: [pattern] }, "input collect"] as const
    ),
    ["into a folder in the state directory", { ...command, into: "/nowhere/home/x" }, "sandboxer's own"],
    ["into a file", { ...command, into: "/etc/passwd" }, "not a folder"]
  ]
  it.effect.each(cases)("%s", ([, inputs, message]) =>
    Effect.gen(function* () {
      const refused = yield* refusal(inputs, { hosts })
      expect(refused.message).toContain(message)
      expect(refused.hint).not.toBe("")
    })
  )

  it.scoped("into a folder with a receipt.json of another program", () =>
    Effect.gen(function* () {
      const into = yield* temporaryFolder
      writeFileSync(`${into}/receipt.json`, "{}")
      expect((yield* refusal({ ...command, into }, { hosts })).message).toContain("not written by sandboxer")
    }).pipe(Effect.provide(platform))
  )
})

describe("a plan of attach mode", () => {
  it.scoped("is jobless without a command, and locks the workspace of a project", () =>
    Effect.gen(function* () {
      const project = yield* temporaryFolder
      const alone = yield* attachPlan({ host: "kvm1" }, { hosts })
      expect(alone).toMatchObject({ jobless: true, locks: [], description: ["reach kvm1"] })
      const synced = yield* attachPlan({ host: "kvm1", project }, { hosts })
      expect(synced.jobless).toBe(true)
      const run = yield* attachPlan({ host: "kvm1", project, command: "make" }, { hosts })
      expect(run.jobless).toBe(false)
      expect(run.locks).toEqual(synced.locks)
      expect(run.locks).toHaveLength(1)
      expect((yield* attachPlan({ host: "other", project, command: "make" })).locks).not.toEqual(run.locks)
      expect((yield* attachPlan({ host: "kvm1", project, workspace: "fresh" }, { hosts })).locks).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("has the phases that it needs", () =>
    Effect.gen(function* () {
      const project = yield* temporaryFolder
      const phases = (inputs: Inputs) =>
        Effect.map(attachPlan({ host: "kvm1", ...inputs }, { hosts }), (planned) => planned.phases)
      expect(yield* phases({})).toEqual(["reach"])
      expect(yield* phases({ workdir: "work" })).toEqual(["reach", "workspace"])
      expect(yield* phases({ project })).toEqual(["reach", "workspace", "sync"])
      expect(yield* phases({ project, command: "make", collect: ["out"] })).toEqual([
        "reach",
        "workspace",
        "sync",
        "run",
        "collect"
      ])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("excludes the state directory from a project that contains it", () =>
    Effect.gen(function* () {
      const project = yield* temporaryFolder
      mkdirSync(`${project}/.state`)
      const { encoded } = yield* attachPlan(
        { host: "kvm1", project, exclude: ["*.o"] },
        { home: `${project}/.state` }
      )
      expect(encoded).toMatchObject({ exclude: ["/.state", "*.o"] })
    }).pipe(Effect.provide(platform))
  )

  it.effect("refuses a name that an environment variable cannot have", () =>
    Effect.gen(function* () {
      const inputs = { host: "kvm1", command: "make", "a-b": "x" }
      expect((yield* refusal(inputs, { hosts }, { variables: ["a-b"] })).message).toContain("a-b")
    })
  )
})

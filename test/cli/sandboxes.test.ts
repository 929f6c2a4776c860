import { existsSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { PackerScripted } from "../../src/testing.js"
import { commandLine, documentOf, refusal } from "./commandLine.js"

const images = PackerScripted.building({ qemu: { "output/demo": "an image" } })

/** A command line that has made these sandboxes. */
const having = (...names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const made = yield* commandLine(images)
    const sandboxes = yield* Effect.forEach(names, (name) =>
      Effect.map(made.sandboxer("create", "-p", "demo", "--name", name, "-o", "json"), ({ stdout }) =>
        JSON.parse(stdout)
      )
    )
    return { ...made, sandboxes }
  })

const namesIn = (stdout: string): ReadonlyArray<string> =>
  JSON.parse(stdout).items.map(({ name }: { readonly name: string }) => name)

describe("list", () => {
  it.scopedLive("prints an empty list as a list", () =>
    Effect.gen(function* () {
      const { sandboxer } = yield* having()
      const empty = { apiVersion: "sandboxer/v1", kind: "SandboxList", items: [] }
      expect(JSON.parse((yield* sandboxer("list", "-o", "json")).stdout)).toEqual(empty)
      expect(documentOf(yield* sandboxer("ls", "-o", "yaml"))).toEqual(empty)
      expect(yield* sandboxer("list", "-o", "ndjson")).toEqual({ exitCode: 0, stdout: "", stderr: "" })
      expect(yield* sandboxer("list", "-q")).toEqual({ exitCode: 0, stdout: "", stderr: "" })
      expect((yield* sandboxer("list")).stdout).toMatch(/^NAME +ID +STATE/)
    })
  )

  it.scopedLive("shows living sandboxes, all with --all, and only matching ones with a filter", () =>
    Effect.gen(function* () {
      const { sandboxer, sandboxes } = yield* having("one", "two")
      yield* sandboxer("destroy", "one")
      expect(namesIn((yield* sandboxer("list", "--json")).stdout)).toEqual(["two"])
      expect(namesIn((yield* sandboxer("--json", "ls", "--all")).stdout)).toEqual(["one", "two"])
      const filtered = ["list", "--all", "--json", "--filter"]
      expect(namesIn((yield* sandboxer(...filtered, "state=destroyed")).stdout)).toEqual(["one"])
      expect(
        namesIn((yield* sandboxer(...filtered, "state=destroyed", "--filter", "name=two")).stdout)
      ).toEqual([])
      expect((yield* sandboxer("list", "-q")).stdout).toBe(`${sandboxes[1].id}\n`)
      const lines = (yield* sandboxer("list", "--all", "-o", "ndjson")).stdout.trim().split("\n")
      expect(lines.map((line) => JSON.parse(line))).toMatchObject([
        { apiVersion: "sandboxer/v1", kind: "Sandbox", name: "one", state: "destroyed" },
        { apiVersion: "sandboxer/v1", kind: "Sandbox", name: "two", state: "ready" }
      ])
      expect((yield* sandboxer("list")).stdout.split("\n")[1]).toMatch(
        /^two +[0-9a-f]{12} +ready +- +profile.demo +\S+Z +in \d+ min$/
      )
    })
  )

  it.scopedLive("rejects an unknown filter value", () =>
    Effect.gen(function* () {
      const { sandboxer } = yield* having()
      expect(refusal(yield* sandboxer("list", "--filter", "stat=ready"))).toEqual({
        exitCode: 2,
        stdout: "",
        stderr: ["error: --filter stat=ready is no filter", "hint: did you mean state?", ""]
      })
    })
  )
})

describe("show", () => {
  it.scopedLive("finds a sandbox by name, id and unique prefix, with options at any place", () =>
    Effect.gen(function* () {
      const { home, sandboxer, sandboxes } = yield* having("one")
      const [one] = sandboxes
      for (const words of [
        ["show", "one", "-o", "json"],
        ["show", "-o", "json", one.id],
        ["--output=json", "show", one.id.slice(0, 4)],
        ["--no-color", "show", "--json", "one"],
        ["show", "one", "--json", "--log-level", "debug"]
      ]) {
        const { exitCode, stderr, stdout } = yield* sandboxer(...words)
        expect(stderr).toBe("")
        expect({ exitCode, document: JSON.parse(stdout) }, words.join(" ")).toEqual({
          exitCode: 0,
          document: one
        })
      }
      expect((yield* sandboxer("show", "one", "-q")).stdout).toBe(`${one.id}\n`)
      const table = (yield* sandboxer("show", "one")).stdout
      expect(table).toMatch(/^mode +build \(ext.vm-packer\)$/m)
      expect(table).toContain(`${home}/artifacts/demo/${one.id}/demo.raw`)
    })
  )

  it.scopedLive("reports an unknown sandbox with the nearest name", () =>
    Effect.gen(function* () {
      const { sandboxer } = yield* having("one")
      expect(refusal(yield* sandboxer("show", "onne"))).toEqual({
        exitCode: 3,
        stdout: "",
        stderr: ["error: no sandbox onne", "hint: did you mean one?", ""]
      })
      for (const verb of ["logs", "events", "watch", "wait", "cancel", "destroy", "supervise"]) {
        const { exitCode, stdout } = yield* sandboxer(verb, "nothing-like-it")
        expect({ exitCode, stdout }, verb).toEqual({ exitCode: 3, stdout: "" })
      }
    })
  )
})

describe("events", () => {
  it.scopedLive("are printed in order, of one sandbox or of all", () =>
    Effect.gen(function* () {
      const { sandboxer, sandboxes } = yield* having("one", "two")
      const one = JSON.parse((yield* sandboxer("events", "one", "--json")).stdout)
      expect(one).toMatchObject({ apiVersion: "sandboxer/v1", kind: "EventList" })
      expect(one.items.map((event: { seq: number }) => event.seq)).toEqual(
        one.items.map((_: unknown, index: number) => index + 1)
      )
      expect(one.items[0]).toMatchObject({
        id: `${sandboxes[0].id}-1`,
        sandboxId: sandboxes[0].id,
        type: "requested",
        phase: null,
        percent: null,
        etaSeconds: null
      })
      expect(one.items.at(-1)).toMatchObject({ type: "ready" })
      const all = JSON.parse((yield* sandboxer("events", "--json")).stdout).items
      expect(all).toHaveLength(2 * one.items.length)
      const followed = (yield* sandboxer("events", "-f", "one", "-o", "ndjson")).stdout.trim().split("\n")
      expect(followed.map((line) => JSON.parse(line).id)).toEqual(
        one.items.map((event: { id: string }) => event.id)
      )
    })
  )

  it.scopedLive("of another version are printed unchanged, and no verb fails on them", () =>
    Effect.gen(function* () {
      const { home, sandboxer, sandboxes } = yield* having("one")
      const { id } = sandboxes[0]
      const database = new Database(`${home}/sandboxer.db`)
      const unknown = [
        { seq: 100, type: "reused", phase: null, data: { from: "000000000001" } },
        { seq: 101, type: "phase", phase: "verify", data: {} },
        { seq: 102, type: "artifact", phase: null, data: { name: 1 } }
      ].map((fields) => ({
        id: `${id}-${fields.seq}`,
        sandboxId: id,
        time: "2026-01-01T00:00:00.000Z",
        message: "it\u0000happened",
        percent: null,
        etaSeconds: null,
        ...fields
      }))
      for (const event of unknown) {
        database
          .prepare("INSERT INTO events (sandbox_id, seq, identity, document) VALUES (?, ?, ?, ?)")
          .run(id, event.seq, `x/${event.seq}`, JSON.stringify(event))
      }
      database.close()
      for (const words of [["one"], [], ["-f", "one"]]) {
        const printed = yield* sandboxer("events", ...words, "-o", "ndjson")
        const lines = printed.stdout.trim().split("\n").slice(-unknown.length)
        expect(lines.map((line) => JSON.parse(line))).toEqual(
          unknown.map((event) => ({ apiVersion: "sandboxer/v1", kind: "Event", ...event }))
        )
      }
      expect((yield* sandboxer("events", "one")).stdout).toMatch(/ 101 +phase +verify +ithappened\n/)
      expect((yield* sandboxer("watch", "one")).stderr).toContain("-- ithappened\n")
      for (const words of [["wait"], ["show"], ["logs"], ["renew", "--ttl", "1h"], ["destroy"]]) {
        expect((yield* sandboxer(...words, "one")).exitCode, words.join(" ")).toBe(0)
      }
    })
  )
})

describe("logs", () => {
  it.scopedLive("print Packer's output", () =>
    Effect.gen(function* () {
      const { sandboxer } = yield* having("one")
      const whole = ["create", "boot", "connect", "provision", "shutdown", "export"].map(
        (phase) => `now: ${phase}\n`
      )
      expect(yield* sandboxer("logs", "one")).toEqual({ exitCode: 0, stdout: whole.join(""), stderr: "" })
      expect((yield* sandboxer("logs", "one", "--tail", "2")).stdout).toBe(whole.slice(-2).join(""))
      expect((yield* sandboxer("logs", "--tail", "0", "one")).stdout).toBe("")
      expect((yield* sandboxer("logs", "-f", "one")).stdout).toBe(whole.join(""))
    })
  )
})

describe("destroy", () => {
  it.scopedLive("ends several sandboxes and keeps their artifacts by default", () =>
    Effect.gen(function* () {
      const { sandboxer, sandboxes } = yield* having("one", "two", "three")
      const paths = sandboxes.map(({ artifacts: [artifact] }) => artifact.path)
      const there = () => paths.map((path) => existsSync(path))
      // All of them are found before the first one goes.
      expect((yield* sandboxer("destroy", "one", "for", "two")).exitCode).toBe(3)
      expect(namesIn((yield* sandboxer("list", "--json")).stdout)).toEqual(["one", "two", "three"])
      const kept = yield* sandboxer("destroy", "one", "two", "--json")
      expect(kept.exitCode).toBe(0)
      expect(JSON.parse(kept.stdout)).toMatchObject({
        kind: "SandboxList",
        items: [
          { name: "one", state: "destroyed" },
          { name: "two", state: "destroyed" }
        ]
      })
      expect(there()).toEqual([true, true, true])
      expect((yield* sandboxer("rm", "--delete-artifacts", "three", "-q")).stdout).toBe(
        `${sandboxes[2].id}\n`
      )
      expect(there()).toEqual([true, true, false])
      expect(namesIn((yield* sandboxer("list", "--json")).stdout)).toEqual([])
      expect((yield* sandboxer("cancel", "one")).exitCode).toBe(13)
    })
  )
})

describe("artifact", () => {
  it.scopedLive("lists, shows and finds artifacts", () =>
    Effect.gen(function* () {
      const { sandboxer, sandboxes } = yield* having("one", "two")
      const [first, second] = sandboxes.map(({ artifacts: [artifact] }) => artifact)
      const listed = JSON.parse((yield* sandboxer("artifact", "list", "--json")).stdout)
      expect(listed).toMatchObject({
        apiVersion: "sandboxer/v1",
        kind: "ArtifactList",
        items: [
          { ...first, sandboxId: sandboxes[0].id, sandboxName: "one" },
          { ...second, sandboxName: "two" }
        ]
      })
      const shown = yield* sandboxer("artifact", "show", "one", "-o", "json")
      expect(JSON.parse(shown.stdout)).toMatchObject({ kind: "Artifact", ...first })
      for (const [reference, path] of [
        ["one", first.path],
        [sandboxes[0].id.slice(0, 6), first.path],
        [first.id, first.path],
        ["demo.raw", second.path]
      ]) {
        expect((yield* sandboxer("artifact", "path", reference)).stdout, reference).toBe(`${path}\n`)
      }
      expect(refusal(yield* sandboxer("artifact", "show", "tow"))).toEqual({
        exitCode: 3,
        stdout: "",
        stderr: ["error: no artifact tow", "hint: did you mean two?", ""]
      })
      expect((yield* sandboxer("artifact", "shwo", "one")).stderr).toContain("did you mean show?")
    })
  )
})

describe("profile", () => {
  it.scopedLive("lists, shows and validates profiles", () =>
    Effect.gen(function* () {
      const { folder, sandboxer } = yield* having()
      const listed = yield* sandboxer("profile", "list", "-o", "json")
      expect(JSON.parse(listed.stdout)).toMatchObject({
        apiVersion: "sandboxer/v1",
        kind: "ProfileList",
        items: [{ id: "profile.base" }, { id: "profile.demo", extension: "ext.vm-packer" }]
      })
      const shown = yield* sandboxer("profile", "show", "demo", "--json")
      // What it extends is merged in.
      expect(JSON.parse(shown.stdout)).toMatchObject({ kind: "Profile", id: "profile.demo", ttl: "3600 s" })
      expect((yield* sandboxer("profile", "validate")).exitCode).toBe(0)
      expect((yield* sandboxer("profile", "show", "dem")).exitCode).toBe(3)
      // Nothing is opened for it.
      expect(existsSync(`${folder}/home`)).toBe(false)
    })
  )
})

describe("sandboxer", () => {
  it.scopedLive("prints its version and its verbs", () =>
    Effect.gen(function* () {
      const { folder, sandboxer } = yield* having()
      expect((yield* sandboxer("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
      const help = yield* sandboxer("--help")
      expect(help).toMatchObject({ exitCode: 0, stderr: "" })
      expect(help.stdout).toContain("create")
      expect(yield* sandboxer()).toEqual(help)
      expect(existsSync(`${folder}/home`)).toBe(false)
    })
  )
})

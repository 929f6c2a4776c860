import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { HostPath, join } from "../../../../src/domain/HostPath.js"
import type { attach as recipe } from "../../../../src/extensions/vm-packer/attach/attach.js"
import type { Packer } from "../../../../src/packer/Packer.js"
import { HostMemory } from "../../../../src/testing.js"
import { survivesEachDeath } from "../../../support/crashPoints.js"
import { id, platform } from "../../../support/inMemory.js"
import { type AttachOptions, attach, attachWorld } from "./attachWorld.js"

/** A command that makes two files in the workspace. */
const makes: HostMemory.Program = ({ cwd }, { host, print }) =>
  Effect.gen(function* () {
    yield* host.makeFolder(join(cwd!, "out"))
    yield* host.write(join(cwd!, "out/a b"), "first")
    yield* host.write(join(cwd!, "out/-c"), "second")
    yield* print("made it\nwith correct-horse\n")
    return 0
  })

const options: AttachOptions = {
  project: { "a.txt": "a", "sub/b.txt": "b" },
  inputs: { command: "make all", collect: ["out"], tools: ["make", "gone"], LEVEL: 3 },
  variables: ["LEVEL", "TOKEN"],
  secrets: ["TOKEN"],
  values: { TOKEN: Redacted.make("correct-horse") },
  finds: ["F./out/a b", "F./out/-c"],
  lacks: ["gone"],
  command: makes
}

const receiptIn = (folder: string) => JSON.parse(readFileSync(`${folder}/receipt.json`, "utf8"))

it("attach mode does not need Packer", () => {
  type Needs = Effect.Effect.Context<ReturnType<typeof recipe>>
  expectTypeOf<Extract<Needs, Packer>>().toBeNever()
})

describe("attach mode", () => {
  it.scoped("without project and command is ready at once, and changes nothing on the machine", () =>
    Effect.gen(function* () {
      const { host, record } = yield* attach({})
      expect(record).toMatchObject({
        state: "ready",
        endpoint: { host: "elsewhere", port: 22, user: "somebody", workdir: null },
        phase: { name: "reach" }
      })
      // One round trip, and no file.
      expect(host.commands).toHaveLength(1)
      expect([...host.files.keys()]).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("sends the project, runs the command, brings results back and writes a receipt", () =>
    Effect.gen(function* () {
      const { folder, host, record, store, workIn } = yield* attach(options)
      expect(record.failure).toBeNull()
      const workspace = record.endpoint!.workdir!
      expect(workspace).toMatch(new RegExp(`^${workIn}/[0-9a-f]{16}-project$`))
      expect(HostMemory.textOf(host, HostPath(`${workspace}/sub/b.txt`))).toBe("b")
      const job = host.commands.find(({ args }) => args[1] === "make all")
      expect(job).toMatchObject({
        program: "sh",
        cwd: workspace,
        env: { LEVEL: "3", TOKEN: "correct-horse" }
      })
      expect(record.artifacts.map(({ name, primary }) => [name, primary])).toEqual([
        ["out/-c", true],
        ["out/a b", false],
        ["receipt.json", false]
      ])
      const own = record.artifacts[2]!.path.replace(/\/receipt\.json$/, "")
      expect(readFileSync(`${own}/out/a b`, "utf8")).toBe("first")
      expect(readdirSync(own).sort()).toEqual(["out", "receipt.json"])
      expect(readFileSync(record.logPath!, "utf8")).toBe("made it\nwith [redacted]\n")
      const receipt = receiptIn(own)
      expect(Object.keys(receipt)).toEqual([
        "apiVersion",
        "kind",
        "sandboxId",
        "attempt",
        "project",
        "host",
        "workspace",
        "command",
        "environment",
        "tools",
        "startedAt",
        "endedAt",
        "exitCode",
        "files"
      ])
      expect(receipt).toMatchObject({
        project: {
          path: `${folder}/project`,
          revision: { commit: "c".repeat(40), dirty: true, differenceSha256: "d".repeat(64) }
        },
        host: { host: "elsewhere", port: 22, user: "somebody", keyFingerprint: "SHA256:elsewhere" },
        workspace,
        command: "make all",
        environment: ["LEVEL", "TOKEN"],
        tools: [
          { name: "make", version: "make 1.2" },
          { name: "gone", version: null }
        ],
        exitCode: 0,
        files: [
          { name: "out/-c", sizeBytes: 6 },
          { name: "out/a b", sizeBytes: 5 }
        ]
      })
      const events = yield* store.events(id(1), 0)
      expect(events.filter(({ type }) => type === "phase").map(({ message }) => message)).toEqual([
        "reach",
        "workspace",
        "sync",
        "run",
        "collect"
      ])
      expect(events.find(({ message }) => message.startsWith("sent"))?.data).toEqual({ sent: 2, deleted: 0 })
      expect(JSON.stringify([...events, receipt])).not.toContain("correct-horse")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("with a folder of the user's records no artifacts, and leaves other files there", () =>
    Effect.gen(function* () {
      const into = `${(yield* attachWorld({})).folder}/results`
      const made = yield* attach({ ...options, inputs: { ...options.inputs, into } })
      expect(made.record).toMatchObject({ state: "ready", artifacts: [] })
      writeFileSync(`${into}/mine`, "mine")
      yield* attach({ ...options, inputs: { ...options.inputs, into } })
      expect(readdirSync(into).sort()).toEqual(["mine", "out", "receipt.json"])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("reports a failed command with its exit code, its last lines and a receipt", () =>
    Effect.gen(function* () {
      const { record } = yield* attach({
        ...options,
        command: (_, { print }) => Effect.as(print("no rule\n"), 2)
      })
      expect(record).toMatchObject({
        state: "failed",
        failure: {
          reason: "command-failed",
          message: "the command ended with exit code 2: make all",
          logTail: ["no rule"]
        }
      })
      expect(record.artifacts.map(({ name }) => name)).toEqual(["receipt.json"])
      expect(JSON.parse(readFileSync(record.artifacts[0]!.path, "utf8"))).toMatchObject({
        exitCode: 2,
        files: []
      })
    }).pipe(Effect.provide(platform))
  )

  it.scoped("names a command of several lines by the first one", () =>
    Effect.gen(function* () {
      const messageOf = (command: string) =>
        Effect.map(
          attach({
            ...options,
            inputs: { ...options.inputs, command },
            command: () => Effect.succeed(2)
          }),
          ({ record }) => record.failure?.message
        )
      expect(yield* messageOf("set -eu\nmake all\n")).toBe("the command ended with exit code 2: set -eu…")
      expect(yield* messageOf(`echo ${"x".repeat(200)}`)).toBe(
        `the command ended with exit code 2: echo ${"x".repeat(115)}…`
      )
    }).pipe(Effect.provide(platform))
  )

  const failures: ReadonlyArray<readonly [string, AttachOptions, string, string]> = [
    ["a pattern that matches nothing", { finds: ["Nout"] }, "collect-failed", "out matches no file"],
    [
      "a link that leads out of the workspace",
      { finds: ["F./a", "L./out/x"] },
      "collect-failed",
      "out/x is a link that leads out"
    ],
    [
      "something that is neither file nor folder",
      { finds: ["O./pipe"] },
      "collect-failed",
      "pipe is neither"
    ],
    ["a name that is not UTF-8", { finds: ["F./a\uFFFD"] }, "collect-failed", "not UTF-8"],
    ["a file called like the receipt", { finds: ["F./receipt.json"] }, "collect-failed", "receipt"],
    [
      "a machine without rsync",
      { lacks: ["rsync"] },
      "command-missing",
      "rsync is not on the PATH of elsewhere"
    ],
    [
      "a machine without the programs that a Job needs",
      { lacks: ["rsync", "setsid"] },
      "command-missing",
      "setsid, rsync are not on the PATH of elsewhere"
    ],
    ["a workdir that is the home directory", { workspaceExit: 3 }, "input-invalid", "home directory"],
    ["a workdir with files of others", { workspaceExit: 4 }, "output-exists", "files of others"],
    ["a workspace that cannot be made", { workspaceExit: 1 }, "host-files", "cannot be used"]
  ]
  it.scoped.each(failures)("fails for %s", ([, more, reason, message]) =>
    Effect.gen(function* () {
      const { record } = yield* attach({ ...options, ...more })
      expect(record).toMatchObject({ state: "failed", failure: { reason } })
      expect(record.failure!.message).toContain(message)
      // Users see nothing but the receipt of a command that ran.
      expect(record.artifacts.filter(({ name }) => name !== "receipt.json")).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("removes results, but not the receipt, if not all of them can be published", () =>
    Effect.gen(function* () {
      const { home, record } = yield* attach({ ...options, finds: ["F./out/a b", "F./gone"] })
      expect(record).toMatchObject({ state: "failed", artifacts: [{ name: "receipt.json" }] })
      expect(readdirSync(`${home}/artifacts/project/${id(1)}`)).toEqual(["receipt.json"])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("does not follow a link in the folder of results", () =>
    Effect.gen(function* () {
      const { folder } = yield* attachWorld({})
      const { symlinkSync, mkdirSync } = yield* Effect.promise(() => import("node:fs"))
      mkdirSync(`${folder}/elsewhere`)
      mkdirSync(`${folder}/into`)
      symlinkSync(`${folder}/elsewhere`, `${folder}/into/out`)
      const { record } = yield* attach({ ...options, inputs: { ...options.inputs, into: `${folder}/into` } })
      expect(record.failure).toMatchObject({ reason: "collect-failed" })
      expect(readdirSync(`${folder}/elsewhere`)).toEqual([])
    }).pipe(Effect.provide(platform))
  )
})

/** How a provision ended, without what differs between two that end the same. */
const ending = (made: Effect.Effect.Success<ReturnType<typeof attachWorld>>, into: string) =>
  Effect.gen(function* () {
    const { failure, logPath, state } = yield* made.get(1)
    expect(failure).toBeNull()
    const events = yield* made.store.events(id(1), 0)
    const { endedAt: _, startedAt: __, project: ___, ...receipt } = receiptIn(into)
    // What was sent before a crash is not sent again, so the numbers differ.
    const plain = (text: string) => text.replaceAll(into, "INTO").replace(/(sent\D*)\d+/g, "$1N")
    return {
      state,
      receipt: { ...receipt, workspace: receipt.workspace.replace(/[0-9a-f]{16}/, "KEY") },
      results: readdirSync(into, { recursive: true }).map(String).sort(),
      events: events
        .filter(({ type }) => type !== "taken-over")
        .map(({ data, message, phase, type }) => [type, phase, plain(message), plain(JSON.stringify(data))]),
      log: readFileSync(logPath ?? "", "utf8"),
      ran: made.host.commands.filter(({ args }) => args[1] === "make all").length,
      running: yield* made.host.running,
      left: [...made.host.files.keys()].filter((file) => file.includes("/jobs/")),
      kept: existsSync(`${made.home}/artifacts`)
    }
  })

const disturbed = (calls: ReadonlyArray<number>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const into = `${(yield* attachWorld({})).folder}/results`
      const made = yield* attachWorld({ ...options, inputs: { ...options.inputs, into } })
      const died = yield* Effect.forEach(calls, (each, index) => made.superviseAndDie(1, index + 1, each))
      yield* made.supervise(1, calls.length + 1)
      return { died: died.includes(true), ended: yield* ending(made, into) }
    })
  )

describe("an attach whose supervisor dies", () => {
  it.effect("ends as if it had not died, at any call, and the command runs once", () =>
    Effect.gen(function* () {
      const { ended: expected } = yield* disturbed([])
      expect(expected).toMatchObject({ state: "ready", ran: 1, running: [], left: [], kept: false })
      const survived = yield* survivesEachDeath(disturbed, expected)
      expect(survived).toBeGreaterThan(60)
    }).pipe(Effect.provide(platform))
  )
})

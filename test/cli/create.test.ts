import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { afterEach, describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { vi } from "vitest"
import { type FailureReason, ProvisionError } from "../../src/domain/Failure.js"
import { PackerScripted } from "../../src/testing.js"
import { commandLine, documentOf, refusal } from "./commandLine.js"

afterEach(() => {
  vi.unstubAllEnvs()
})

const images = PackerScripted.building({ qemu: { "output/demo": "an image" } })
const create = ["create", "--profile", "demo"]

const failing = (reason: FailureReason): PackerScripted.Script => ({
  ...images,
  when: ({ _tag }) =>
    _tag === "Ends" ? new ProvisionError({ reason, message: "it went wrong", hint: "mend it" }) : Effect.void
})

describe("create", () => {
  it.scopedLive("prints the sandbox on stdout and progress on stderr", () =>
    Effect.gen(function* () {
      const { home, sandboxer } = yield* commandLine(images)
      const printed = yield* sandboxer(...create, "-o", "json", "--ttl", "90m")
      const sandbox = JSON.parse(printed.stdout)
      expect(printed.exitCode).toBe(0)
      expect(sandbox).toMatchObject({
        apiVersion: "sandboxer/v1",
        kind: "Sandbox",
        name: "demo",
        profile: "profile.demo",
        extension: "ext.vm-packer",
        mode: "build",
        state: "ready",
        placement: { host: "local" },
        inputs: { vm_name: "demo" },
        ttlSeconds: 5400,
        attempt: 1,
        endpoint: null,
        failure: null
      })
      expect(sandbox.id).toMatch(/^[0-9a-f]{12}$/)
      expect(Date.parse(sandbox.expiresAt) - Date.parse(sandbox.readyAt)).toBe(5_400_000)
      const path = `${home}/artifacts/demo/${sandbox.id}/demo.raw`
      expect(sandbox.artifacts).toMatchObject([
        { name: "demo.raw", path, format: "raw", sizeBytes: 8, primary: true }
      ])
      expect(readFileSync(path, "utf8")).toBe("an image")
      expect(printed.stderr.split("\n").filter((line) => line.startsWith("=="))).toEqual([
        "== preflight",
        "== create",
        "== boot",
        "== connect",
        "== provision",
        "== shutdown",
        "== export",
        "== collect"
      ])
      expect(existsSync(`${home}/jobs/${sandbox.id}`)).toBe(false)
    })
  )

  it.scopedLive("prints only the sandbox on stdout, in every format", () =>
    Effect.gen(function* () {
      const { sandboxer } = yield* commandLine(images)
      const quiet = yield* sandboxer(...create, "-q", "--progress", "none")
      expect(quiet).toMatchObject({ exitCode: 0, stderr: "" })
      expect(quiet.stdout).toMatch(/^[0-9a-f]{12}\n$/)
      const table = yield* sandboxer(...create, "--progress", "plain")
      expect(table.stdout).toMatch(/^name +demo-2\n/)
      expect(table.stdout).toMatch(/^state +ready$/m)
      expect(table.stderr).toContain("now: create\nnow: boot\n")
      const yaml = yield* sandboxer(...create, "-o", "yaml", "--progress", "json")
      expect(documentOf(yaml)).toMatchObject({ kind: "Sandbox", name: "demo-3", state: "ready" })
      const events = yaml.stderr
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
      expect(events.at(-1)).toMatchObject({ type: "ready" })
    })
  )

  it.scopedLive.each([
    ["internal", 1],
    ["template-invalid", 2],
    ["build-failed", 10],
    ["timed-out", 11],
    ["output-exists", 13],
    ["host-unreachable", 14],
    ["packer-missing", 15]
  ] as const)("exits as the provision ended: %s", ([reason, exitCode]) =>
    Effect.gen(function* () {
      const { home, sandboxer } = yield* commandLine(failing(reason))
      const printed = yield* sandboxer(...create, "-o", "json")
      expect(printed.exitCode).toBe(exitCode)
      const sandbox = JSON.parse(printed.stdout)
      expect(sandbox).toMatchObject({
        state: "failed",
        readyAt: null,
        artifacts: [],
        failure: { reason, message: "it went wrong", hint: "mend it" }
      })
      expect(sandbox.failure.logTail.at(-1)).toBe("now: export")
      expect(printed.stderr.trim().split("\n").slice(-3)).toEqual([
        "error: demo: it went wrong",
        "hint: mend it",
        expect.stringMatching(new RegExp(`^see: /.*/runbooks/failures/${reason}\\.md$`))
      ])
      expect(printed.stderr).toContain("  | now: export\n")
      expect(existsSync(`${home}/artifacts/demo/${sandbox.id}`)).toBe(false)
    })
  )

  it.scopedLive("equals --detach followed by wait", () =>
    Effect.gen(function* () {
      const { sandboxer } = yield* commandLine(images)
      const created = yield* sandboxer(...create, "--detach", "-o", "json")
      expect(created.exitCode).toBe(0)
      expect(["requested", "provisioning"]).toContain(JSON.parse(created.stdout).state)
      const waited = yield* sandboxer("wait", "demo", "-o", "json")
      expect(waited.exitCode).toBe(0)
      expect(JSON.parse(waited.stdout)).toMatchObject({ id: JSON.parse(created.stdout).id, state: "ready" })
      const watched = yield* sandboxer("watch", "demo")
      expect(watched).toMatchObject({ exitCode: 0, stdout: "" })
      expect(watched.stderr).toContain("== export\n")
    })
  )

  it.scopedLive("exits with 130 if someone else cancels the sandbox", () =>
    Effect.gen(function* () {
      const builds = yield* Deferred.make<void>()
      const { sandboxer } = yield* commandLine({
        ...images,
        when: ({ _tag }) =>
          _tag === "Build" ? Effect.zipRight(Deferred.succeed(builds, undefined), Effect.never) : Effect.void
      })
      const creating = yield* Effect.fork(sandboxer(...create, "-o", "json"))
      yield* Deferred.await(builds)
      const cancelled = yield* sandboxer("cancel", "demo")
      expect(cancelled.exitCode).toBe(0)
      expect(cancelled.stderr).toContain("demo: cancelled; nothing of it runs any more")
      const created = yield* Fiber.join(creating)
      expect(created.exitCode).toBe(130)
      expect((yield* sandboxer("wait", "demo")).exitCode).toBe(130)
      expect((yield* sandboxer("cancel", "demo")).exitCode).toBe(0)
    })
  )

  it.scopedLive("reads secrets from their sources and prints none", () =>
    Effect.gen(function* () {
      vi.stubEnv("DEMO_PASSWORD", "correct-horse")
      const { folder, sandboxer } = yield* commandLine({
        ...images,
        variables: ["password"],
        events: [{ _tag: "Line", time: 0, stream: "say", text: "it is correct-horse" }, ...images.events]
      })
      writeFileSync(
        `${folder}/profiles/secret.yaml`,
        "id: profile.secret\nextends: profile.demo\ninputs:\n  password: { type: secret, variable: true }\n"
      )
      const create_ = ["create", "-p", "secret", "-o", "json", "--progress", "plain"]
      const printed = yield* sandboxer(...create_, "-i", "password=env:DEMO_PASSWORD")
      expect(printed.exitCode).toBe(0)
      expect(JSON.parse(printed.stdout).inputs.password).toBe("env:DEMO_PASSWORD")
      expect(printed.stderr).toContain("it is [redacted]\n")
      const all = [printed, yield* sandboxer("logs", "demo"), yield* sandboxer("events", "--json")]
      expect(JSON.stringify(all)).not.toContain("correct-horse")
      const literal = yield* sandboxer(...create_, "-i", "password=correct-horse")
      expect(literal.exitCode).toBe(2)
      expect(literal.stderr).toContain("-i password=env:NAME or -i password=@FILE")
      expect(literal.stderr).not.toContain("correct-horse")
    })
  )
})

describe("create --dry-run", () => {
  it.scopedLive("prints the plan and creates nothing, not even a state directory", () =>
    Effect.gen(function* () {
      const { home, sandboxer } = yield* commandLine(images)
      const printed = yield* sandboxer(...create, "--dry-run", "-o", "json", "--timeout", "1h")
      expect(printed).toMatchObject({ exitCode: 0, stderr: "" })
      const planned = JSON.parse(printed.stdout)
      expect(planned).toMatchObject({
        apiVersion: "sandboxer/v1",
        kind: "Plan",
        profile: "profile.demo",
        mode: "build",
        timeoutSeconds: 3600,
        ttlSeconds: 3600
      })
      expect(planned.steps.join("\n")).toContain("run packer build")
      expect(existsSync(home)).toBe(false)
      expect(JSON.parse((yield* sandboxer("list", "--all", "--json")).stdout).items).toEqual([])
    })
  )
})

it.scopedLive("create warns if a profile shadows another one of the same id", () =>
  Effect.gen(function* () {
    const { folder, sandboxer } = yield* commandLine(images)
    const shipped = yield* sandboxer("profile", "list", "-o", "name")
    expect(shipped.stderr).toBe("")
    writeFileSync(`${folder}/profiles/again.yaml`, readFileSync(`${folder}/profiles/demo.yaml`))
    const planned = yield* sandboxer(...create, "--dry-run")
    expect(planned.stderr).toBe(
      `warning: ${folder}/profiles/again.yaml stands in for ${folder}/profiles/demo.yaml\n`
    )
  })
)

describe("create with a mistake", () => {
  const refused = (words: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const { sandboxer } = yield* commandLine(images)
      const printed = yield* sandboxer(...words)
      const { stdout } = yield* sandboxer("list", "--all", "--json")
      expect(JSON.parse(stdout).items).toEqual([])
      return refusal(printed)
    })

  it.scopedLive.each([
    [
      [...create, "--mode", "attack"],
      2,
      "error: ext.vm-packer has no mode attack",
      "hint: did you mean attach?"
    ],
    [["create", "-p", "dmo"], 3, "error: no profile dmo", "hint: did you mean profile.demo?"],
    [
      ["create", "-p", "base"],
      2,
      "error: profile.base names no extension: other profiles extend it",
      "hint: `sandboxer profile list` shows the profiles that you can use"
    ],
    [["create", "--proflie", "demo"], 2, "error: unknown option --proflie", "hint: did you mean --profile?"],
    [["craete", "--profile", "demo"], 2, "error: unknown command craete", "hint: did you mean create?"],
    [[...create, "-i", "vm_nmae=x"], 2, "error: unknown input vm_nmae", "hint: did you mean vm_name?"]
  ] as const)("ends before anything is recorded: %j", ([words, exitCode, error, hint]) =>
    Effect.gen(function* () {
      expect(yield* refused(words)).toEqual({ exitCode, stdout: "", stderr: [error, hint, ""] })
    })
  )

  it.scopedLive.each([
    [[...create, "-i", "vm_name=-x"], "vm_name"],
    [[...create, "-i", "vm_name"], "KEY=VALUE"],
    [[...create, "-i", "packer_template=/nowhere/demo.pkr.hcl"], "/nowhere/demo.pkr.hcl"],
    [[...create, "-i", "format=ovaa"], "did you mean ova"],
    [[...create, "--ttl", "soon"], "soon"],
    [[...create, "--mode", "build", "-i", "mode=attach"], "the mode is given twice"],
    [["create"], "profile"]
  ] as const)("exits with 2: %j", ([words, text]) =>
    Effect.gen(function* () {
      const { exitCode, stderr, stdout } = yield* refused(words)
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" })
      expect(stderr[0]).toMatch(/^error: /)
      expect(stderr.at(-2)).toMatch(/^hint: /)
      expect(stderr.join("\n")).toContain(text)
    })
  )

  it.scopedLive("exits with 13 for a name that is taken", () =>
    Effect.gen(function* () {
      const { sandboxer } = yield* commandLine(images)
      yield* sandboxer(...create, "--name", "mine")
      const printed = yield* sandboxer(...create, "--name", "mine")
      expect(printed.exitCode).toBe(13)
      expect(printed.stderr).toContain("error: the name mine is taken by sandbox ")
    })
  )
})

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SystemError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import BetterSqlite3 from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Machine } from "../../src/doctor/Doctor.js"
import { layer } from "../../src/doctor/machine/DoctorMachine.js"
import { HostPath } from "../../src/domain/HostPath.js"
import { type CommandResult, Host, HostError } from "../../src/hosts/Host.js"
import { layerHome } from "../../src/settings/Settings.js"
import { SandboxStore } from "../../src/store/SandboxStore.js"
import * as Store from "../../src/store/sql/SandboxStoreSql.js"

const platform = Layer.merge(NodeFileSystem.layer, NodePath.layer)
const gib = 1024 ** 3

let folder: string
let home: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-doctor-"))
  home = join(folder, "state", "sandboxer")
  file = join(home, "sandboxer.db")
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const gone = new HostError({ reason: "not-found", host: "local", message: "ENOENT", hint: "check the path" })

interface Scene {
  readonly free?: number
  /** A path that cannot be written, also by root. */
  readonly closed?: string
  readonly run?: (script: string) => Partial<CommandResult> | HostError
}

/** A machine with this disk and these answers of its shell, and real files. */
const machine = ({ closed, free = 100 * gib, run = () => gone }: Scene = {}) => {
  const files = Layer.map(platform, (context) => {
    const fs = Context.get(context, FileSystem.FileSystem)
    const denied = (path: string) =>
      new SystemError({
        reason: "PermissionDenied",
        module: "FileSystem",
        method: "access",
        pathOrDescriptor: path
      })
    return Context.add(context, FileSystem.FileSystem, {
      ...fs,
      access: (path, options) => (path === closed ? Effect.fail(denied(path)) : fs.access(path, options))
    })
  })
  const settings = layerHome(home)
  const host = Layer.mock(Host, {
    name: "local",
    home: HostPath(home),
    programs: { jobs: [], files: [] },
    run: ({ args }) => {
      const answer = run(args[1] ?? "")
      return answer instanceof HostError
        ? Effect.fail(answer)
        : Effect.succeed({ exitCode: 0, stdout: "", stderr: "", ...answer })
    },
    freeBytes: (path) => (existsSync(path) ? Effect.succeed(free) : Effect.fail(gone))
  })
  return layer(Store.layer).pipe(Layer.provide(Layer.mergeAll(settings, host, files)))
}

const state = (scene?: Scene) =>
  Effect.map(
    Effect.provide(
      Effect.flatMap(Machine, (found) => found.state),
      machine(scene)
    ),
    (checks) => Object.fromEntries(checks.map((check) => [check.name, check]))
  )

const kvm = (run: Scene["run"] & {}) =>
  Effect.provide(
    Effect.flatMap(Machine, (found) => found.kvm),
    machine({ run })
  )

/** Opens and closes the store, as a command does. */
const useStore = Effect.suspend(() =>
  Effect.provide(
    Effect.flatMap(SandboxStore, ({ list }) => list()),
    Store.layer.pipe(Layer.provide(Layer.merge(layerHome(home), platform)))
  )
)

describe("the state directory", () => {
  it.effect("that does not exist is fine, and the check does not create it", () =>
    Effect.gen(function* () {
      const checks = yield* state()
      expect(checks["state-directory"]).toMatchObject({
        status: "ok",
        detail: `${home} (created when it is needed)`
      })
      expect(checks.database).toMatchObject({ status: "ok", detail: `${file} (created when it is needed)` })
      expect(checks.disk).toMatchObject({ status: "ok", detail: `100.0 GiB free for ${home}` })
      expect(existsSync(join(folder, "state"))).toBe(false)
    })
  )

  it.effect("that cannot be created because of a file is reported as missing", () =>
    Effect.gen(function* () {
      const inTheWay = join(folder, "state")
      writeFileSync(inTheWay, "")
      const checks = yield* state()
      expect(checks["state-directory"]).toMatchObject({
        status: "missing",
        detail: `${inTheWay} is not a folder`
      })
      expect(checks["state-directory"]?.hint).toContain("SANDBOXER_HOME")
      expect(checks.database).toBeUndefined()
      expect(checks.disk?.status).toBe("ok")
    })
  )

  it.effect("that is a file is reported as missing", () =>
    Effect.gen(function* () {
      mkdirSync(join(folder, "state"))
      writeFileSync(home, "")
      expect((yield* state())["state-directory"]).toMatchObject({
        status: "missing",
        detail: `${home} is not a folder`
      })
    })
  )

  it.effect("that others can read is a warning with the chmod command", () =>
    Effect.gen(function* () {
      mkdirSync(home, { recursive: true })
      chmodSync(home, 0o750)
      expect((yield* state())["state-directory"]).toMatchObject({
        status: "warning",
        hint: `\`chmod 700 '${home}'\``
      })
      chmodSync(home, 0o700)
      expect((yield* state())["state-directory"]).toMatchObject({ status: "ok", detail: home })
    })
  )

  it.effect("that cannot be written or created is reported as missing", () =>
    Effect.gen(function* () {
      expect((yield* state({ closed: folder }))["state-directory"]).toMatchObject({
        status: "missing",
        detail: `${folder} may not be read and written`
      })
      mkdirSync(home, { recursive: true, mode: 0o700 })
      expect((yield* state({ closed: folder }))["state-directory"]?.status).toBe("ok")
      expect((yield* state({ closed: home }))["state-directory"]).toMatchObject({
        status: "missing",
        detail: `${home} may not be read and written`
      })
    })
  )
})

describe("the database", () => {
  it.effect("that opens is reported with its version", () =>
    Effect.gen(function* () {
      yield* useStore
      const database = new BetterSqlite3(file, { readonly: true })
      const version = database.prepare("SELECT max(migration_id) FROM effect_sql_migrations").pluck().get()
      database.close()
      expect((yield* state()).database).toMatchObject({
        status: "ok",
        detail: `${file} (version ${version}, sandboxes: 0)`
      })
    })
  )

  it.effect("that is another kind of file is reported as missing, and is not changed", () =>
    Effect.gen(function* () {
      mkdirSync(home, { recursive: true, mode: 0o700 })
      writeFileSync(file, "this is no database".repeat(100))
      const { database } = yield* state()
      expect(database).toMatchObject({ status: "missing" })
      expect(database?.detail).toContain("file is not a database")
      expect(database?.hint).toMatch(/backup/)
    })
  )

  it.effect("that is damaged is reported as missing even though it opens", () =>
    Effect.gen(function* () {
      yield* useStore
      const broken = new BetterSqlite3(file)
      broken.pragma("journal_mode = DELETE")
      broken.exec(
        "CREATE TABLE extra (a TEXT); CREATE INDEX extra_a ON extra (a); INSERT INTO extra VALUES ('x')"
      )
      const page = broken.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'extra'").pluck().get()
      const size = broken.pragma("page_size", { simple: true })
      broken.close()
      const bytes = readFileSync(file)
      bytes.fill(0xff, (Number(page) - 1) * Number(size), Number(page) * Number(size))
      writeFileSync(file, bytes)
      expect(yield* useStore).toEqual([])
      const { database } = yield* state()
      expect(database?.status).toBe("missing")
      expect(database?.detail).toContain("is damaged")
    })
  )

  it.effect("that a newer version wrote is reported as missing, with a hint", () =>
    Effect.gen(function* () {
      yield* useStore
      const newer = new BetterSqlite3(file)
      newer.exec("INSERT INTO effect_sql_migrations (migration_id, name) VALUES (999, 'later')")
      newer.close()
      const { database } = yield* state()
      expect(database?.status).toBe("missing")
      expect(database?.detail).toContain("a newer version wrote it (migration 999")
      expect(database?.hint).toMatch(/Upgrade sandboxer/)
    })
  )
})

describe("the disk", () => {
  it.effect("is a warning below 5 GiB and missing below 1 GiB", () =>
    Effect.gen(function* () {
      const status = (free: number) => Effect.map(state({ free }), ({ disk }) => disk?.status)
      expect(yield* status(5 * gib)).toBe("ok")
      expect(yield* status(5 * gib - 1)).toBe("warning")
      expect(yield* status(gib)).toBe("warning")
      expect(yield* status(gib - 1)).toBe("missing")
    })
  )
})

describe("KVM", () => {
  // The first script checks the device, the second boots a guest.
  const booting = (result: Partial<CommandResult>) =>
    kvm((script) => (script.includes("isa-debug-exit") ? result : { stdout: "usable\n" }))

  it.effect("is ok only if a guest booted", () =>
    Effect.gen(function* () {
      expect(yield* booting({ exitCode: 33 })).toMatchObject({ status: "ok", hint: null })
      for (const exitCode of [0, 1, 124, 137]) {
        expect((yield* booting({ exitCode })).status).toBe("warning")
      }
    })
  )

  it.effect("shows QEMU's message, without warnings and the end by timeout(1)", () =>
    Effect.gen(function* () {
      const stderr = [
        "qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.01H:ECX.pni [bit 0]",
        "KVM internal error. Suberror: 1",
        "qemu-system-x86_64: terminating on signal 15 from pid 1 (timeout)",
        ""
      ]
      const said = yield* booting({ exitCode: 124, stderr: stderr.join("\n") })
      expect(said.detail).toBe("/dev/kvm opens, but no guest boots (KVM internal error. Suberror: 1)")
      expect(said.hint).toContain("tcg")
      const silent = yield* booting({ exitCode: 124, stderr: `${stderr[0]}\n${stderr[2]}\n` })
      expect(silent.detail).toBe("/dev/kvm opens, but no guest boots within 5 s")
    })
  )

  it.effect("is not tried without QEMU or a usable device, and the hint says what to do", () =>
    Effect.gen(function* () {
      for (const [found, hint] of [
        ["no-qemu", "install that first"],
        ["absent", "nested virtualisation"],
        ["denied", "usermod -aG kvm"]
      ] as const) {
        const scripts: Array<string> = []
        const check = yield* kvm((script) => {
          scripts.push(script)
          return { stdout: `${found}\n` }
        })
        expect(check.status).toBe("warning")
        expect(check.hint).toContain(hint)
        expect(scripts).toHaveLength(1)
      }
    })
  )

  it.effect("is a warning if the shell cannot be run", () =>
    Effect.gen(function* () {
      expect(yield* kvm(() => gone)).toMatchObject({ status: "warning", detail: "unknown: ENOENT" })
    })
  )
})

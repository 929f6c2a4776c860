import { spawn } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { boot } from "../../src/doctor/machine/Kvm.js"
import type { Check } from "../../src/domain/Check.js"
import { Hosts } from "../../src/hosts/Host.js"
import { layerHosts } from "../../src/node.js"
import { layer as layerSettings } from "../../src/settings/Settings.js"

const executable = fileURLToPath(new URL("../../dist/bin.js", import.meta.url))

let folder: string
let home: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-doctor-"))
  home = join(folder, "state")
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true, force: true })
})

/** Where a program of this machine is. */
const whereIs = (name: string): string => {
  const found = (process.env.PATH ?? "")
    .split(delimiter)
    .map((path) => join(path, name))
    .find(existsSync)
  if (found === undefined) throw new Error(`there is no ${name} on the PATH`)
  return found
}

const basics = ["sh", "flock", "ssh", "qemu-img"]

/** A PATH of one folder: these programs of this machine, and scripts that stand in for others. */
const pathOf = (programs: ReadonlyArray<string>, standIns: Readonly<Record<string, string>> = {}): string => {
  const path = mkdtempSync(join(folder, "path-"))
  for (const name of programs) symlinkSync(whereIs(name), join(path, name))
  for (const [name, script] of Object.entries(standIns)) {
    writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(path, name), 0o755)
  }
  return path
}

interface Outcome {
  readonly exitCode: number | null
  readonly stderr: string
  readonly checks: Readonly<Record<string, Check>>
}

/** `sandboxer doctor` with this environment, and nothing else in it. */
const doctor = (environment: Readonly<Record<string, string>>): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [executable, "doctor", "-o", "json"], {
      cwd: folder,
      env: { HOME: folder, SANDBOXER_HOME: home, ...environment },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const output = { stdout: "", stderr: "" }
    child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()))
    child.once("error", reject)
    child.once("close", (exitCode) => {
      const list: { readonly items: ReadonlyArray<Check> } = JSON.parse(output.stdout)
      const checks = Object.fromEntries(list.items.map((check) => [check.name, check]))
      resolve({ exitCode, stderr: output.stderr, checks })
    })
  })

const fakePacker = 'echo "1,,version,1.10.0"'

describe("doctor", () => {
  it("reports what this machine has", async () => {
    mkdirSync(home, { mode: 0o700 })
    const { checks, exitCode, stderr } = await doctor({ PATH: process.env.PATH ?? "" })
    expect(stderr).toBe("")
    expect(exitCode).toBe(0)
    expect(checks.packer?.detail).toMatch(/^1\.\d+\.\d+/)
    expect(checks["qemu-img"]?.detail).toMatch(/^qemu-img version /)
    expect(checks["qemu-system-x86_64"]?.detail).toMatch(/^QEMU emulator version /)
    expect(checks.flock).toMatchObject({ status: "ok", detail: whereIs("flock") })
    // A guest boots, or it is told why none does: both are right, by the machine.
    expect(checks.kvm?.detail).toMatch(
      /^a guest boots in|^\/dev\/kvm opens, but|^there is no \/dev\/kvm|may not use/
    )
    expect(checks["settings.home"]?.detail).toBe(`${home} (environment SANDBOXER_HOME)`)
  })

  it("reports everything that is missing and creates nothing", async () => {
    const { checks, exitCode, stderr } = await doctor({ PATH: pathOf([]) })
    expect(exitCode).toBe(15)
    const missing = Object.values(checks).filter(({ status }) => status === "missing")
    expect(missing.map(({ name }) => name)).toEqual(["packer", "qemu-img", "sh"])
    expect(stderr).toContain("error: builds need what is missing here: packer, qemu-img, sh\n")
    expect(checks.packer?.hint).toContain("https://developer.hashicorp.com/packer/install")
    expect(existsSync(home)).toBe(false)
  })

  it("is not fooled by another program named packer", async () => {
    const standIns = {
      garbage: 'echo "0 0"',
      failing: `${fakePacker}; exit 3`,
      old: 'echo "1,,version,1.5.6"',
      killed: "kill -KILL $$",
      hanging: "sleep 1000"
    }
    const outcomes = await Promise.all(
      Object.entries(standIns).map(async ([name, script]) => {
        const { checks, exitCode } = await doctor({ PATH: pathOf([...basics, "sleep"], { packer: script }) })
        expect(exitCode, name).toBe(15)
        expect(checks.packer?.status, name).toBe("missing")
        expect(checks.packer?.hint, name).toContain("packer version")
        expect(checks["qemu-img"]?.status, name).toBe("ok")
        return [name, checks.packer?.detail]
      })
    )
    expect(Object.fromEntries(outcomes)).toMatchObject({
      garbage: "the program packer does not print a version as HashiCorp's Packer does",
      old: "packer 1.5.6 is too old",
      killed: "the program packer does not print a version as HashiCorp's Packer does",
      hanging: "packer did not end within 20 s"
    })
  })

  it("checks the installed plugins of a Packer that bundles none", async () => {
    const plugin = "/p/github.com/hashicorp/qemu/packer-plugin-qemu_v1.1.5_x5.0_linux_amd64"
    const [none, one] = await Promise.all(
      [":", `echo ${plugin}`].map((list) => {
        const packer = `[ "$*" = "plugins installed" ] || { ${fakePacker}; exit; }\n${list}`
        return doctor({ PATH: pathOf(basics, { packer }) })
      })
    )
    expect(none?.exitCode).toBe(0)
    expect(none?.checks.plugins?.status).toBe("warning")
    expect(none?.checks.plugins?.hint).toContain("packer plugins install github.com/hashicorp/qemu")
    expect(one?.checks.plugins).toMatchObject({ status: "ok", detail: "github.com/hashicorp/qemu 1.1.5" })
  })

  it("works when the database cannot be opened", async () => {
    const PATH = pathOf(basics, { packer: fakePacker })
    writeFileSync(home, "")
    const inTheWay = await doctor({ PATH })
    expect(inTheWay.exitCode).toBe(15)
    expect(inTheWay.checks["state-directory"]).toMatchObject({
      status: "missing",
      detail: `${home} is not a folder`
    })
    rmSync(home)
    mkdirSync(home, { mode: 0o700 })
    writeFileSync(join(home, "sandboxer.db"), "this is no database".repeat(100))
    const damaged = await doctor({ PATH })
    expect(damaged.exitCode).toBe(15)
    expect(damaged.checks.database?.status).toBe("missing")
    expect(damaged.checks.database?.detail).toContain("file is not a database")
    expect(damaged.checks.packer).toMatchObject({ status: "ok", detail: "1.10.0" })
  })
})

describe("the guest that tests KVM", () => {
  it.live("boots under TCG and leaves no file behind", () =>
    Effect.gen(function* () {
      const host = yield* Effect.flatMap(Hosts, (hosts) => hosts.get({ host: "local" }))
      vi.stubEnv("TMPDIR", folder)
      expect(yield* boot(host, "tcg")).toEqual({ booted: true, said: undefined })
      expect(readdirSync(folder)).toEqual([])
    }).pipe(
      Effect.provide(
        layerHosts.pipe(
          Layer.provide(
            layerSettings({
              overrides: { home },
              environment: { HOME: folder },
              workingDirectory: folder,
              shipped: folder
            })
          ),
          Layer.provide(Layer.merge(NodeFileSystem.layer, NodePath.layer))
        )
      )
    )
  )
})

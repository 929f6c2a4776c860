import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Doctor, layer, Machine } from "../../src/doctor/Doctor.js"
import { type Check, ok, warning } from "../../src/domain/Check.js"
import { ProvisionError } from "../../src/domain/Failure.js"
import { HostPath } from "../../src/domain/HostPath.js"
import { type Command, type CommandResult, Host, HostError, Hosts } from "../../src/hosts/Host.js"
import { Packer, type Version } from "../../src/packer/Packer.js"
import { layerHome } from "../../src/settings/Settings.js"
import { HostMemory } from "../../src/testing.js"
import { platform } from "../support/inMemory.js"

type Answer = Partial<CommandResult> | undefined

/** The answer of each command line; a program without an answer is missing. */
type Programs = (line: string) => Answer

const healthy: Programs = (line) =>
  ({
    "qemu-img --version": { stdout: "qemu-img version 7.2.22 (Debian)\nCopyright\n" },
    "qemu-system-x86_64 --version": { stdout: "QEMU emulator version 7.2.22\n" },
    sh: { stdout: "/usr/bin/sh\n" },
    flock: { stdout: "/usr/bin/flock\n" },
    ssh: { stdout: "/usr/bin/ssh\n" },
    rsync: { stdout: "/usr/bin/rsync\n" }
  })[line]

const host = (programs: Programs, ran: Array<string>) =>
  Layer.mock(Host, {
    name: "local",
    home: HostPath("/home"),
    programs: { jobs: [], files: [] },
    run: ({ args, program }: Command) => {
      // `sh -c 'command -v "$1"' sh NAME` asks for NAME.
      const line = program === "sh" ? (args[3] ?? "") : [program, ...args].join(" ")
      ran.push(line)
      const answer = programs(line)
      return answer === undefined && program !== "sh"
        ? Effect.fail(
            new HostError({
              reason: "program-missing",
              host: "local",
              message: `${program}: not found`,
              hint: `install ${program}`
            })
          )
        : Effect.succeed({ exitCode: answer === undefined ? 127 : 0, stdout: "", stderr: "", ...answer })
    }
  })

const settings = (hosts: ReadonlyArray<string>) =>
  layerHome("/home", {
    sources: [{ key: "home", value: "/home", from: "environment SANDBOXER_HOME" }],
    hosts: Object.fromEntries(
      ["local", ...hosts].map((name) => [
        name,
        { slots: 2, connection: { host: name, port: null, user: null, identityFile: null } }
      ])
    )
  })

const machine = Layer.succeed(Machine, {
  kvm: Effect.succeed(warning("kvm", "there is none", "enable it")),
  state: Effect.succeed([ok("state-directory", "/home"), ok("disk", "much")])
})

const examine = (
  version: Version | ProvisionError,
  programs: Programs = healthy,
  ran: Array<string> = [],
  hosts: Layer.Layer<Hosts> = Layer.mock(Hosts, {}),
  named: ReadonlyArray<string> = []
): Effect.Effect<ReadonlyArray<Check>> =>
  Effect.flatMap(Doctor, (doctor) => doctor.examine).pipe(
    Effect.provide(layer),
    Effect.provide(
      Layer.mergeAll(
        host(programs, ran),
        Layer.mock(Packer, {
          version: version instanceof ProvisionError ? Effect.fail(version) : Effect.succeed(version)
        }),
        hosts,
        settings(named),
        machine
      )
    )
  )

const named = (checks: ReadonlyArray<Check>, name: string) => checks.find((check) => check.name === name)

const packer = (major: number, minor: number, patch: number): Version => ({ major, minor, patch })

describe("examine", () => {
  it.effect("reports all checks in a fixed order, with versions", () =>
    Effect.gen(function* () {
      const checks = yield* examine(packer(1, 6, 6))
      expect(checks.map(({ detail, name, status }) => [status, name, detail])).toEqual([
        ["ok", "packer", "1.6.6"],
        ["ok", "plugins", "those that are part of Packer 1.6.6"],
        ["ok", "qemu-img", "qemu-img version 7.2.22 (Debian)"],
        ["ok", "qemu-system-x86_64", "QEMU emulator version 7.2.22"],
        ["warning", "kvm", "there is none"],
        ["ok", "sh", "/usr/bin/sh"],
        ["ok", "flock", "/usr/bin/flock"],
        ["ok", "ssh", "/usr/bin/ssh"],
        ["ok", "rsync", "/usr/bin/rsync"],
        ["ok", "state-directory", "/home"],
        ["ok", "disk", "much"],
        ["ok", "settings.home", "/home (environment SANDBOXER_HOME)"]
      ])
      for (const { hint, status } of checks) expect(hint === null).toBe(status === "ok")
    })
  )

  it.effect("reports what every build needs as missing, and what only some need as a warning", () =>
    Effect.gen(function* () {
      const checks = yield* examine(packer(1, 6, 6), () => undefined)
      const failed = checks.filter(({ status }) => status !== "ok")
      expect(failed.map(({ name, status }) => `${status} ${name}`)).toEqual([
        "missing qemu-img",
        "warning qemu-system-x86_64",
        "warning kvm",
        "missing sh",
        "warning flock",
        "warning ssh",
        "warning rsync"
      ])
      expect(named(checks, "qemu-img")?.detail).toBe("qemu-img: not found")
      expect(named(checks, "qemu-img")?.hint).toContain("apt-get install qemu-utils")
    })
  )

  it.effect("shows the error of a program that does not run", () =>
    Effect.gen(function* () {
      const broken = { exitCode: 127, stderr: "error while loading shared libraries: libaio.so.1\n" }
      const checks = yield* examine(packer(1, 6, 6), (line) =>
        line.startsWith("qemu-img") ? broken : healthy(line)
      )
      expect(named(checks, "qemu-img")).toMatchObject({
        status: "missing",
        detail: "qemu-img --version ended with 127: error while loading shared libraries: libaio.so.1"
      })
    })
  )

  it.effect("says what to do about a missing Packer, and does not check its plugins", () =>
    Effect.gen(function* () {
      const checks = yield* examine(
        new ProvisionError({
          reason: "packer-missing",
          message: "packer is not installed",
          hint: "install it"
        })
      )
      expect(named(checks, "packer")).toEqual({
        name: "packer",
        status: "missing",
        detail: "packer is not installed",
        hint: "install it"
      })
      expect(named(checks, "plugins")).toBeUndefined()
    })
  )
})

describe("plugins", () => {
  const answering = (answer: Answer): Programs => {
    return (line) => (line === "packer plugins installed" ? answer : healthy(line))
  }
  const installed = [
    "/home/me/.config/packer/plugins/github.com/hashicorp/qemu/packer-plugin-qemu_v1.1.5_x5.0_linux_amd64",
    "/home/me/.config/packer/plugins/github.com/hashicorp/virtualbox/packer-plugin-virtualbox_v1.1.2-dev_x5.0_linux_amd64",
    ""
  ].join("\n")

  it.effect("are part of Packer before 1.10, and Packer is not called for them", () =>
    Effect.gen(function* () {
      for (const version of [packer(1, 6, 6), packer(1, 9, 5)]) {
        const ran: Array<string> = []
        const checks = yield* examine(version, healthy, ran)
        expect(named(checks, "plugins")?.status).toBe("ok")
        expect(ran.filter((line) => line.startsWith("packer"))).toEqual([])
      }
    })
  )

  it.effect("are listed from 1.10 on", () =>
    Effect.gen(function* () {
      const checks = yield* examine(packer(1, 16, 0), answering({ stdout: installed }))
      expect(named(checks, "plugins")).toMatchObject({
        status: "ok",
        detail: "github.com/hashicorp/qemu 1.1.5, github.com/hashicorp/virtualbox 1.1.2-dev"
      })
    })
  )

  it.effect("that are missing are a warning with the command that installs them", () =>
    Effect.gen(function* () {
      for (const answer of [{ stdout: "" }, { exitCode: 1, stderr: "no such folder\n" }, undefined]) {
        const checks = yield* examine(packer(1, 10, 0), answering(answer))
        const found = named(checks, "plugins")
        expect(found?.status).toBe("warning")
        expect(found?.hint).toContain("packer plugins install github.com/hashicorp/qemu")
        if (answer?.exitCode === 1) expect(found?.detail).toContain("no such folder")
      }
    })
  )

  it.effect("names what hosts of the configuration lack, and which cannot be reached", () =>
    Effect.gen(function* () {
      const unreachable = new HostError({
        reason: "unreachable",
        host: "kvm3",
        message: "kvm3 cannot be reached: no route",
        hint: "check its name"
      })
      const there = (lacks: ReadonlyArray<string>) =>
        HostMemory.make({
          program: ({ args }, { print }) =>
            Effect.as(
              print(
                args
                  .slice(3)
                  .map((name) => `${lacks.includes(name) ? "" : `/usr/bin/${name}`}\n`)
                  .join("")
              ),
              0
            )
        })
      const known = {
        kvm1: yield* there([]),
        kvm2: yield* there(["setsid", "rsync", "packer"])
      }
      const hosts = Layer.succeed(Hosts, {
        get: ({ host: name }) =>
          name === "kvm1" || name === "kvm2" ? Effect.succeed(known[name]) : Effect.fail(unreachable)
      })
      const checks = yield* examine(packer(1, 6, 6), healthy, [], hosts, ["kvm1", "kvm2", "kvm3"])
      expect(checks.filter(({ name }) => name.startsWith("hosts."))).toEqual([
        ok("hosts.kvm1", "somebody@elsewhere, port 22; it has all that is needed"),
        warning(
          "hosts.kvm2",
          "setsid, rsync are not on the PATH of kvm2",
          "install it there: `sudo apt-get install util-linux rsync` (Debian)"
        ),
        warning(
          "hosts.kvm3",
          "kvm3 cannot be reached: no route",
          "check its name; `sandboxer host check kvm3` shows more"
        )
      ])
    }).pipe(Effect.scoped, Effect.provide(platform))
  )
})

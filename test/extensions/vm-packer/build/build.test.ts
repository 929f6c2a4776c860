import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { ProvisionError } from "../../../../src/domain/Failure.js"
import { HostPath, join } from "../../../../src/domain/HostPath.js"
import { HostMemory, PackerScripted } from "../../../../src/testing.js"
import { id, platform, type World } from "../../../support/inMemory.js"
import { type BuildOptions, build, buildWorld } from "./buildWorld.js"

const { building } = PackerScripted
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")
const images = building({ qemu: { "output/demo": "an image" } })

const events = ({ store }: Pick<World, "store">) => Effect.orDie(store.events(id(1), 0))

/** Runs a build that is expected to fail; returns its failure. */
const failing = (options: BuildOptions) =>
  Effect.gen(function* () {
    const made = yield* build(options)
    expect(made.record.state).toBe("failed")
    expect(made.record.artifacts).toEqual([])
    expect(existsSync(`${made.home}/artifacts/demo/${id(1)}`)).toBe(false)
    return { ...made, failure: made.record.failure! }
  })

describe("an image", () => {
  it.scoped("is published with its digest, named after the machine and its format", () =>
    Effect.gen(function* () {
      const { home, host, record } = yield* build({ script: images, formats: { demo: "vmdk" } })
      const path = `${home}/artifacts/demo/${id(1)}/demo.vmdk`
      expect(record.failure).toBeNull()
      expect(record.artifacts).toMatchObject([
        { name: "demo.vmdk", path, format: "vmdk", sizeBytes: 8, sha256: sha256("an image"), primary: true }
      ])
      expect(readFileSync(path, "utf8")).toBe("an image")
      expect(readFileSync(`${path}.sha256`, "utf8")).toBe(`${sha256("an image")}  demo.vmdk\n`)
      expect(readdirSync(dirname(path)).sort()).toEqual(["demo.vmdk", "demo.vmdk.sha256"])
      // The host has nothing of this provision any more.
      expect([...host.files.keys()].filter((file) => file.includes(id(1)))).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped.each([
    ["output/demo.ova", "demo.ova"],
    ["output/demo.OVA", "demo.ova"],
    ["output/demo", "demo.raw"],
    ["output/demo.v1.2", "demo.raw"]
  ])("has the format of its extension if qemu-img does not recognise it: %s", ([file, name]) =>
    Effect.gen(function* () {
      const { record } = yield* build({ script: building({ qemu: { [file!]: "x" } }) })
      expect(record.artifacts.map((artifact) => artifact.name)).toEqual([name])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is named after its build if there are several, in the template's order", () =>
    Effect.gen(function* () {
      const script = building({ "b.second": { "out/2.raw": "two" }, "a:first": { "out/1.raw": "one" } })
      const { record } = yield* build({ script: { ...script, builds: ["a:first", "b.second"] } })
      expect(record.artifacts.map(({ name, primary }) => [name, primary])).toEqual([
        ["demo-a-first.raw", true],
        ["demo-b.second.raw", false]
      ])
      expect(record.artifacts.map(({ path }) => readFileSync(path, "utf8"))).toEqual(["one", "two"])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("has a number if a build makes several", () =>
    Effect.gen(function* () {
      const { record } = yield* build({
        script: building({ qemu: { "out/demo.raw": "1", "out/demo-1.raw": "2" } })
      })
      expect(record.artifacts.map(({ name, primary }) => [name, primary])).toEqual([
        ["demo-disk1.raw", true],
        ["demo-disk2.raw", false]
      ])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is no file that a post-processor writes about an image", () =>
    Effect.gen(function* () {
      const time = 0
      const { record } = yield* build({
        script: {
          ...images,
          files: { ...images.files, "sums.txt": "s" },
          events: [
            ...images.events,
            {
              _tag: "Artifact",
              time,
              build: "qemu",
              builderId: "packer.post-processor.checksum",
              files: ["sums.txt"]
            }
          ]
        }
      })
      expect(record.artifacts.map(({ name }) => name)).toEqual(["demo.raw"])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is converted to qcow2 on request, unless it is qcow2", () =>
    Effect.gen(function* () {
      const { host, record } = yield* build({
        script: building({ one: { "out/one": "raw" }, two: { "out/two": "qcow2" } }),
        inputs: { format: "qcow2" },
        formats: { one: "raw", two: "qcow2" }
      })
      expect(record.artifacts.map(({ format, name }) => [name, format])).toEqual([
        ["demo-one.qcow2", "qcow2"],
        ["demo-two.qcow2", "qcow2"]
      ])
      expect(record.artifacts.map(({ path }) => readFileSync(path, "utf8"))).toEqual([
        "qcow2 of one",
        "qcow2"
      ])
      expect(host.commands.filter(({ args }) => args[0] === "convert")).toHaveLength(1)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is not published if it cannot be converted", () =>
    Effect.gen(function* () {
      const { failure } = yield* failing({
        script: images,
        inputs: { format: "qcow2" },
        program: ({ args }, { print }) =>
          args[0] === "convert" ? Effect.as(print("no space left\n"), 1) : undefined
      })
      expect(failure.reason).toBe("build-failed")
      expect(failure.logTail.slice(-2)).toEqual(["now: export", "no space left"])
      expect(failure.message).toContain("qemu-img cannot convert")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is published in the folder that the user names", () =>
    Effect.gen(function* () {
      const output = (home: string) => `${home}/wanted`
      const first = yield* build({ script: images })
      const { record } = yield* build({ script: images, inputs: { output_directory: output(first.home) } })
      expect(record.artifacts.map(({ path }) => path)).toEqual([`${output(first.home)}/demo.raw`])
      expect(readdirSync(output(first.home)).sort()).toEqual(["demo.raw", "demo.raw.sha256"])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("replaces another only with force", () =>
    Effect.gen(function* () {
      const { home } = yield* build({ script: images })
      const output = `${home}/wanted`
      mkdirSync(output)
      writeFileSync(`${output}/demo.raw`, "another")
      const inputs = { output_directory: output }
      const { failure } = yield* failing({ script: images, inputs })
      expect(failure).toMatchObject({ reason: "output-exists" })
      expect(failure.message).toContain(`${output}/demo.raw`)
      expect(readdirSync(output)).toEqual(["demo.raw"])
      expect(readFileSync(`${output}/demo.raw`, "utf8")).toBe("another")
      const { record } = yield* build({ script: images, inputs: { ...inputs, force: true } })
      expect(record.state).toBe("ready")
      expect(readFileSync(`${output}/demo.raw`, "utf8")).toBe("an image")
    }).pipe(Effect.provide(platform))
  )
})

describe("a build that makes no image", () => {
  it.scoped("fails if Packer names no file", () =>
    Effect.gen(function* () {
      const { failure } = yield* failing({ script: building({ qemu: {} }) })
      expect(failure).toMatchObject({
        reason: "no-artifact",
        message: "packer exited with 0, but made no file"
      })
    }).pipe(Effect.provide(platform))
  )

  it.scoped("fails if a file that Packer names does not exist", () =>
    Effect.gen(function* () {
      const { failure } = yield* failing({ script: { ...images, files: {} } })
      expect(failure.reason).toBe("no-artifact")
      expect(failure.message).toContain("output/demo")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("fails with Packer's failure, and its last lines", () =>
    Effect.gen(function* () {
      const { failure, questions } = yield* failing({
        script: {
          ...images,
          when: ({ _tag }) =>
            _tag === "Ends"
              ? new ProvisionError({ reason: "provisioner-failed", message: "it failed", hint: "mend it" })
              : Effect.void
        }
      })
      expect(failure).toMatchObject({ reason: "provisioner-failed", message: "it failed", hint: "mend it" })
      expect(failure.logTail.at(-1)).toBe("now: export")
      expect(questions()).toEqual(["Version", "Inspect", "Validate", "Build", "Ends"])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("does not start if Packer refuses the template", () =>
    Effect.gen(function* () {
      const { failure, questions } = yield* failing({
        script: {
          ...images,
          when: ({ _tag }) =>
            _tag === "Validate"
              ? new ProvisionError({ reason: "template-invalid", message: "m", hint: "h" })
              : Effect.void
        }
      })
      expect(failure.reason).toBe("template-invalid")
      expect(questions()).toEqual(["Version", "Inspect", "Validate"])
    }).pipe(Effect.provide(platform))
  )
})

describe("before the build", () => {
  it.scoped("a missing program is reported by name", () =>
    Effect.gen(function* () {
      const { asked, failure } = yield* failing({
        script: images,
        requires: { commands: ["packer", "mformat"], freeDisk: undefined },
        program: ({ args }, { print }) =>
          args.includes("mformat") ? Effect.as(print("mformat\nsetsid\n"), 0) : undefined
      })
      expect(failure.reason).toBe("command-missing")
      expect(failure.message).toBe("mformat, setsid are not on the PATH of elsewhere")
      expect(failure.hint).toBe(
        "install it there: `sudo apt-get install util-linux` (Debian); on Debian `apt-file search bin/mformat` names the package"
      )
      expect(asked.map(({ _tag }) => _tag)).toEqual(["Version"])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("a disk with too little space is reported", () =>
    Effect.gen(function* () {
      const { failure } = yield* failing({ script: images, requires: { commands: [], freeDisk: 2 ** 41 } })
      expect(failure.reason).toBe("disk-space")
      expect(failure.message).toContain("has 1.0 TiB free; the profile asks for 2.0 TiB")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("plugins are installed if the template asks for any", () =>
    Effect.gen(function* () {
      const asks = yield* build({
        script: images,
        template: ["demo.pkr.hcl", "packer {\n  required_plugins {\n  }\n}\n"]
      })
      expect(asks.questions()).toEqual(["Version", "Init", "Inspect", "Validate", "Build", "Ends"])
      const doesNot = yield* build({ script: images })
      expect(doesNot.questions()).not.toContain("Init")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("checks run once: a supervisor that takes over does not repeat them", () =>
    Effect.gen(function* () {
      const builds = yield* Deferred.make<void>()
      const made = yield* buildWorld({
        script: {
          ...images,
          when: ({ _tag }) =>
            _tag === "Build" ? Effect.asVoid(Deferred.succeed(builds, undefined)) : Effect.void
        },
        template: ["demo.pkr.hcl", "packer {\n  required_plugins {\n  }\n}\n"]
      })
      const first = yield* Effect.fork(made.supervise(1, 1))
      yield* Deferred.await(builds)
      yield* Fiber.interrupt(first)
      yield* made.supervise(1, 2)
      expect((yield* made.get(1)).state).toBe("ready")
      const once = ["Version", "Init", "Inspect", "Validate"]
      expect(made.questions().filter((one) => once.includes(one))).toEqual(once)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("the template's folder is staged on the host", () =>
    Effect.gen(function* () {
      const { asked, folder } = yield* build({
        script: images,
        inputs: { only: ["a"], except: ["b"], force: true }
      })
      const placed = HostPath(`/elsewhere/home/placed${folder}`)
      expect(asked.find(({ _tag }) => _tag === "Build")).toMatchObject({
        request: {
          folder: placed,
          path: join(placed, "demo.pkr.hcl"),
          only: ["a"],
          except: ["b"],
          force: true
        }
      })
    }).pipe(Effect.provide(platform))
  )
})

describe("the template's variables", () => {
  it.scoped("are the given ones, and those of the conventions if the template declares them", () =>
    Effect.gen(function* () {
      const { variables } = yield* build({
        script: { ...images, variables: ["vm_name", "cpus", "labels"] },
        variables: ["cpus", "labels"],
        inputs: { cpus: 2, labels: { a: 1 } }
      })
      expect(variables()).toEqual({ vm_name: "demo", cpus: 2, labels: { a: 1 } })
    }).pipe(Effect.provide(platform))
  )

  it.scoped("are strings for a JSON template", () =>
    Effect.gen(function* () {
      const { variables } = yield* build({
        script: { ...images, variables: ["cpus", "labels"] },
        template: ["demo.json", "{}"],
        variables: ["cpus", "labels"],
        inputs: { cpus: 2, labels: { a: 1 } }
      })
      expect(variables()).toEqual({ cpus: "2", labels: '{"a":1}' })
    }).pipe(Effect.provide(platform))
  )

  it.scoped("have an output directory of the attempt's own, unless one is given", () =>
    Effect.gen(function* () {
      const own = yield* build({ script: images })
      expect(own.variables()).toEqual({
        vm_name: "demo",
        output_directory: `/elsewhere/home/jobs/${id(1)}/1/output`
      })
      const given = yield* build({
        script: images,
        inputs: { variables: { output_directory: "out", vm_name: "v" } }
      })
      expect(given.variables()).toEqual({ vm_name: "v", output_directory: "out" })
    }).pipe(Effect.provide(platform))
  )

  it.scoped("come after variable files, which are staged on the host", () =>
    Effect.gen(function* () {
      const { home } = yield* build({ script: images })
      const file = `${home}/more.pkrvars.hcl`
      writeFileSync(file, "cpus = 2")
      const { asked, host } = yield* build({ script: images, inputs: { var_files: [file] } })
      const validate = asked.find(({ _tag }) => _tag === "Validate")
      const files = validate?._tag === "Validate" ? validate.request.variableFiles : []
      expect(files).toEqual([`${host.home}/placed${file}`, `${host.home}/jobs/${id(1)}/1/variables.json`])
      expect(HostMemory.textOf(host, files[0]!)).toBe("cpus = 2")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("are refused if it does not declare them, with the nearest one as a hint", () =>
    Effect.gen(function* () {
      const { failure, questions } = yield* failing({
        script: { ...images, variables: ["memory", "cpus"] },
        inputs: { variables: { memry: "1" } }
      })
      expect(failure.reason).toBe("input-invalid")
      expect(failure.message).toContain("declares no variable memry")
      expect(failure.hint).toBe("did you mean memory?")
      expect(questions()).not.toContain("Build")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("are in a private file alone if they are secrets, and nowhere after the end", () =>
    Effect.gen(function* () {
      const secret = "correct-horse, battery"
      const found: Array<readonly [string, number]> = []
      const hasSecret = (bytes: Uint8Array) => new TextDecoder().decode(bytes).includes(secret)
      const options: BuildOptions = {
        script: {
          ...images,
          variables: ["password"],
          events: [
            { _tag: "Line", time: 0, build: "qemu", stream: "say", text: `the password is ${secret}` },
            { _tag: "Warning", time: 0, message: `do not use ${secret}` },
            ...images.events
          ],
          when: ({ _tag }) =>
            Effect.sync(() => {
              if (_tag !== "Build") return
              for (const [path, { bytes, mode }] of host.files) if (hasSecret(bytes)) found.push([path, mode])
            })
        },
        secrets: ["password"],
        variables: ["password"],
        values: { password: Redacted.make(secret) }
      }
      let host: HostMemory.MemoryHost
      const made = yield* Effect.flatMap(buildWorld(options), (before) => {
        host = before.host
        return Effect.as(before.supervise(1), before)
      })
      const record = yield* made.get(1)
      expect(record.failure).toBeNull()
      expect(made.variables()).toEqual({ password: secret })
      expect(found).toEqual([[`/elsewhere/home/jobs/${id(1)}/1/variables.json`, 0o600]])
      expect([...made.host.files.values()].filter(({ bytes }) => hasSecret(bytes))).toEqual([])
      const said = JSON.stringify([
        record,
        yield* events(made),
        yield* made.store.steps(id(1), 1),
        yield* made.notes
      ])
      expect(said).toContain("do not use [redacted]")
      expect(said).not.toContain("correct-horse")
      const log = readFileSync(record.logPath ?? "", "utf8")
      expect(log.split("\n")[0]).toBe("the password is [redacted]")
      expect(log).not.toContain("correct-horse")
      const local = readdirSync(made.home, { recursive: true, withFileTypes: true }).filter((entry) =>
        entry.isFile()
      )
      expect(
        local.filter((entry) =>
          readFileSync(`${entry.parentPath}/${entry.name}`, "utf8").includes("correct-horse")
        )
      ).toEqual([])
    }).pipe(Effect.provide(platform))
  )
})

describe("progress of a build", () => {
  it.scoped("goes through the phases in order", () =>
    Effect.gen(function* () {
      const made = yield* build({ script: images, inputs: { format: "qcow2" } })
      const all = yield* events(made)
      expect(all.filter(({ type }) => type === "phase").map(({ phase }) => phase)).toEqual([
        "preflight",
        "create",
        "boot",
        "connect",
        "provision",
        "shutdown",
        "export",
        "collect",
        "package"
      ])
      expect(made.record.phase?.name).toBe("package")
      expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1))
      // The time is Packer's.
      const boot = all.find(({ phase }) => phase === "boot")
      expect(boot?.time).toMatchObject({ epochMillis: Date.UTC(2026, 0, 1) })
    }).pipe(Effect.provide(platform))
  )

  it.scoped("has the phase of each build; the sandbox has that of the slowest", () =>
    Effect.gen(function* () {
      const at: Array<readonly [string, string | undefined]> = []
      const script = building({ one: { a: "1" }, two: { b: "2" } })
      const phase = (build: string, name: "boot" | "connect" | "provision") =>
        ({ _tag: "Phase", time: 0, build, phase: name }) as const
      const events_ = [
        phase("one", "boot"),
        phase("one", "connect"),
        phase("two", "boot"),
        phase("one", "provision"),
        phase("two", "connect"),
        phase("two", "provision")
      ]
      const made = yield* buildWorld({
        script: {
          ...script,
          events: [...events_, ...script.events.filter(({ _tag }) => _tag === "Artifact")]
        }
      })
      yield* made.supervise(1)
      for (const event of yield* events(made)) {
        if (event.type === "phase" && event.data.build !== undefined) at.push([event.data.build, event.phase])
      }
      expect(at).toEqual(events_.map(({ build, phase: name }) => [build, name]))
      expect((yield* made.get(1)).phase?.name).toBe("collect")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("has Packer's output in the log, with the build's name if there are several", () =>
    Effect.gen(function* () {
      const one = yield* build({ script: images })
      expect(readFileSync(one.record.logPath ?? "", "utf8").split("\n")[0]).toBe("now: create")
      const two = yield* build({ script: building({ a: { a: "1" }, b: { b: "2" } }) })
      expect(
        readFileSync(two.record.logPath ?? "", "utf8")
          .split("\n")
          .slice(0, 2)
      ).toEqual(["a: now: create", "b: now: create"])
    }).pipe(Effect.provide(platform))
  )
})

describe("the profile's prepare command", () => {
  const prepare = {
    command: ["./make.sh", "base"],
    inputs: ["make.sh"],
    produces: "base.img",
    variable: "base_image"
  } as const
  const script = { ...images, variables: ["base_image"] }
  /** `flock LOCK sh -c SCRIPT prepare FOLDER WORK SOURCE PRODUCES INPUTS… -- COMMAND…` */
  const flock =
    (exitCode: number): NonNullable<BuildOptions["program"]> =>
    ({ args, program }, { host, print }) =>
      program !== "flock"
        ? undefined
        : Effect.gen(function* () {
            yield* print("making it\n")
            if (exitCode !== 0) return exitCode
            const folder = HostPath(args[5] ?? "")
            yield* host.makeFolder(folder)
            yield* host.write(join(folder, args[8] ?? ""), "a base")
            return 0
          })

  it.scoped("runs before Packer, and its file is given to the template", () =>
    Effect.gen(function* () {
      const { home } = yield* build({ script: images })
      const profileFolder = `${home}/profile`
      mkdirSync(profileFolder)
      writeFileSync(`${profileFolder}/make.sh`, "#!/bin/sh")
      const { host, record, variables } = yield* build({ script, prepare, profileFolder, program: flock(0) })
      expect(record.failure).toBeNull()
      const [lock, , , , , folder, , source, produces, ...rest] =
        host.commands.find(({ program }) => program === "flock")?.args ?? []
      expect(folder).toMatch(/^\/elsewhere\/home\/prepared\/[0-9a-f]{16}$/)
      expect(lock).toBe(`${folder}.lock`)
      expect(source).toBe(`${host.home}/placed${profileFolder}`)
      expect([produces, ...rest]).toEqual(["base.img", "make.sh", "--", "./make.sh", "base"])
      expect(variables()).toEqual({ base_image: `${folder}/base.img` })
      // The file is kept for the next provision.
      expect(HostMemory.textOf(host, HostPath(`${folder}/base.img`))).toBe("a base")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("fails the provision if it fails", () =>
    Effect.gen(function* () {
      const { home } = yield* build({ script: images })
      writeFileSync(`${home}/make.sh`, "#!/bin/sh")
      const { failure, questions } = yield* failing({
        script,
        prepare,
        profileFolder: home,
        program: flock(3)
      })
      expect(failure).toMatchObject({
        reason: "prepare-failed",
        message: "./make.sh base failed with exit code 3",
        logTail: ["making it"]
      })
      expect(questions()).toEqual(["Version", "Inspect"])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("does not run for a template without a variable for its file", () =>
    Effect.gen(function* () {
      const { failure, host } = yield* failing({ script: images, prepare, program: flock(0) })
      expect(failure).toMatchObject({
        reason: "input-invalid",
        message: expect.stringContaining("declares no variable base_image")
      })
      expect(host.commands.map(({ program }) => program)).not.toContain("flock")
    }).pipe(Effect.provide(platform))
  )
})

/**
 * A supervisor is stopped right before each of its writes in turn. Another one takes over and completes the provision; it
 * cannot kill the first one, as if that were on another machine. Then the first one continues, and must change nothing.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { ProvisionError } from "../../src/domain/Failure.js"
import { HostPath, join } from "../../src/domain/HostPath.js"
import { receiptName } from "../../src/domain/Receipt.js"
import { HostMemory, PackerScripted } from "../../src/testing.js"
import { attachWorld } from "../extensions/vm-packer/attach/attachWorld.js"
import { buildWorld } from "../extensions/vm-packer/build/buildWorld.js"
import { id, temporaryFolder, type World } from "../support/inMemory.js"
import { stopBehind } from "../support/stopping.js"
import * as SyncFileSystem from "../support/syncFileSystem.js"
import { inVirtualTime } from "../support/virtualTime.js"

const platform = Layer.merge(SyncFileSystem.layer, NodePath.layer)

/** Files and folders below a folder of this machine: a folder ends in a slash, and has no text. */
const below = (folder: string): ReadonlyArray<readonly [name: string, text: string]> =>
  (existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : [])
    .sort()
    .map((name) => {
      const file = `${folder}/${name}`
      return statSync(file).isDirectory() ? [`${name}/`, ""] : [name, readFileSync(file, "utf8")]
    })

/** The same of the host in memory, but for what its programs were given to start with. */
const onHost = (host: World["host"], at: HostPath): Effect.Effect<ReadonlyArray<readonly [string, string]>> =>
  Effect.gen(function* () {
    const names = yield* Effect.orDie(host.list(at))
    const inner = yield* Effect.forEach(names, (name) => {
      const path = join(at, name)
      const text = HostMemory.textOf(host, path)
      return text === undefined
        ? Effect.map(onHost(host, path), (more) => [[`${path}/`, ""] as const, ...more])
        : Effect.succeed([[path as string, text] as const])
    })
    return inner.flat()
  })

interface Scene {
  readonly made: World
  /** Folders of this machine, beside the state directory, that files go to or come from. */
  readonly folders: ReadonlyArray<string>
  /** What is counted beside what is kept. */
  readonly also?: () => unknown
  /** What somebody else does where it worked, once it has ended: the first one is not to touch that, either. */
  readonly next?: Effect.Effect<void, unknown>
}

/** All that is there of a provision in the end: the same for two that ended alike. */
const ending = ({ also, folders, made }: Scene) =>
  Effect.gen(function* () {
    const record = yield* made.get(1)
    const names = [...folders, made.home]
    const told = (text: string) =>
      names
        .reduce((now, name, index) => now.replaceAll(name, `FOLDER${index}`), text)
        .replaceAll(/"(id|startedAt|endedAt)":( ?)("[^"]*"|\d+)/g, '"$1":$2 0')
        .replaceAll(/([0-9a-f]{12})\.\d+\.log/g, "$1.TERM.log")
        // Sent again by the second one, where the first one had not yet journaled that it was.
        .replaceAll(/sent \d+ files|"sent":\d+/g, "sent SOME files")
        // Of the project's path, too, which is another one each time.
        .replaceAll(/work\/[0-9a-f]{16}-/g, "work/KEY-")
    const all = (entries: ReadonlyArray<readonly [string, string]>) =>
      entries.map(([name, text]) => [told(name), told(text)])
    const events = yield* made.store.events(id(1), 0)
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    return {
      state: record.state,
      phase: record.phase?.name,
      failure: record.failure && {
        ...record.failure,
        message: told(record.failure.message),
        hint: told(record.failure.hint)
      },
      endpoint: told(JSON.stringify(record.endpoint)),
      artifacts: record.artifacts.map(({ id: _, path, sha256, ...artifact }) => ({
        ...artifact,
        path: told(path),
        // A receipt says when.
        sha256: artifact.name === receiptName ? "" : sha256
      })),
      log: readFileSync(record.logPath ?? "", "utf8"),
      // A heartbeat tells of time, which passes as it likes while files are written.
      events: events
        .filter(({ type }) => type !== "taken-over" && type !== "heartbeat")
        .map(({ data, message, phase, type }) => [type, phase, told(message), told(JSON.stringify(data))]),
      home: all(below(made.home).map(([name, text]) => [name, text] as const)),
      folders: folders.flatMap((folder) => all(below(folder))),
      host: all(yield* onHost(made.host, HostPath("/elsewhere"))),
      running: yield* made.host.running,
      secrets: yield* made.secrets.get(id(1), 1),
      holder: (yield* made.store.lease(id(1)).read).holder,
      also: also?.()
    }
  })

/** What one has and the other has not, a line each. */
const difference = (one: object, other: object): ReadonlyArray<string> => {
  const lines = (of: object) =>
    Object.entries(of).flatMap(([key, value]) =>
      (Array.isArray(value) ? value : [value]).map((item) => `${key}: ${JSON.stringify(item)}`)
    )
  const known = lines(other)
  const news = lines(one).filter((line) => !known.includes(line))
  return news.length === 0 && lines(one).length > known.length ? ["the same more often"] : news
}

type SceneOf = Effect.Effect<Scene, unknown, Effect.Effect.Context<ReturnType<typeof buildWorld>>>

/** How often it was stopped until it came through without. */
const stoppedEverywhere = (scene: SceneOf) =>
  Effect.gen(function* () {
    const expected = yield* Effect.scoped(
      Effect.gen(function* () {
        const whole = yield* scene
        yield* whole.made.supervise(1, 1)
        yield* whole.next ?? Effect.void
        return yield* ending(whole)
      })
    )
    const places: Array<string> = []
    const wrong: Array<unknown> = []
    for (let writes = 0; ; writes++) {
      const through = yield* Effect.scoped(
        Effect.gen(function* () {
          const whole = yield* scene
          const stop = yield* stopBehind(writes)
          const first = yield* Effect.fork(whole.made.superviseAndStop(1, 1, stop))
          const through = yield* Effect.raceFirst(
            Effect.as(Fiber.await(first), true),
            Effect.as(stop.reached, false)
          )
          if (through) return true
          whole.made.dead.add(1)
          yield* whole.made.supervise(1, 2)
          yield* whole.next ?? Effect.void
          yield* stop.goOn
          yield* Fiber.await(first)
          const ended = yield* ending(whole)
          places.push(stop.at())
          const [more, less] = [difference(ended, expected), difference(expected, ended)]
          if (more.length + less.length > 0) wrong.push({ write: writes, before: stop.at(), more, less })
          return false
        })
      )
      if (through) break
    }
    expect(wrong).toEqual([])
    return { expected, places }
  }).pipe(inVirtualTime, Effect.provide(platform))

const script = PackerScripted.building({ one: { "out/one": "image one" }, two: { "out/two": "image two" } })
const secret = {
  secrets: ["password"],
  variables: ["password"],
  values: { password: Redacted.make("correct-horse") }
}
const failure = new ProvisionError({
  reason: "provisioner-failed",
  message: "it went wrong",
  hint: "See the log."
})

interface BuildSceneOptions extends Partial<Parameters<typeof buildWorld>[0]> {
  /** What the next build writes in the template's folder; else it is another template. */
  readonly nextInTemplate?: string
  /** What is in the folder for images before. */
  readonly there?: Readonly<Record<string, string>>
  /** What happens as the first image is converted. */
  readonly converting?: (made: World, folder: string) => Effect.Effect<void>
  /** What somebody puts into the folder for images once it has ended. */
  readonly next?: Readonly<Record<string, string>>
}

/** A world of build mode, whose images go to a folder of the user's. */
const buildScene = ({
  converting,
  next = {},
  nextInTemplate,
  there = {},
  ...options
}: BuildSceneOptions): SceneOf =>
  Effect.gen(function* () {
    const output_directory = yield* temporaryFolder
    const write = (files: Readonly<Record<string, string>>) => {
      for (const [name, text] of Object.entries(files)) writeFileSync(`${output_directory}/${name}`, text)
    }
    write(there)
    let made: Effect.Effect.Success<ReturnType<typeof buildWorld>>
    const program: HostMemory.Program = ({ args }, { host }) =>
      Effect.zipRight(
        converting?.(made, output_directory) ?? Effect.void,
        Effect.as(host.write(HostPath(args.at(-1) ?? ""), "qcow2 of one"), 0)
      )
    made = yield* buildWorld({
      script: {
        ...script,
        variables: ["vm_name", "output_directory", "password"],
        events: [
          { _tag: "Line", time: 0, build: "one", stream: "say", text: "the password is correct-horse" },
          ...script.events
        ]
      },
      formats: { one: "raw", two: "qcow2" },
      program: (command, process) => (command.args[0] === "convert" ? program(command, process) : undefined),
      ...secret,
      ...options,
      inputs: { format: "qcow2", output_directory, ...options.inputs }
    })
    return {
      made,
      folders: [output_directory, made.folder],
      // The template's folder is the same each time, and so may be the one for images.
      next: Effect.suspend(() => {
        write(next)
        const [template = "demo.pkr.hcl"] = options.template ?? []
        const placed = join(made.host.home, `placed${made.folder}`)
        return made.host.write(join(placed, nextInTemplate ?? template), "as it is now")
      }),
      also: () => ({
        built: made.asked.filter(({ _tag }) => _tag === "Build").length,
        ran: made.host.commands.filter(({ args }) => args[0] === "convert" || args[2] === "ova").length
      })
    }
  })

/** One rename, as `mv -T` does it. */
const mv: HostMemory.Program = ({ args }, { host }) => {
  const [from, to] = args.slice(-2).map(HostPath)
  return Effect.gen(function* () {
    const names = yield* host.list(from!)
    if ((yield* Effect.orElseSucceed(host.list(to!), () => [])).length > 0) return 1
    yield* host.makeFolder(to!)
    for (const name of names) yield* host.write(join(to!, name), "half a disk")
    yield* host.remove(from!)
    return 0
  })
}

/** An attach mode that builds in a workspace and brings files back: into a folder of the user's, or its own. */
const attachScene = (
  options: { readonly own?: boolean; readonly fails?: boolean; readonly cancelled?: boolean } = {}
): SceneOf =>
  Effect.gen(function* () {
    const into = yield* temporaryFolder
    let ran = 0
    const made: Effect.Effect.Success<ReturnType<typeof attachWorld>> = yield* attachWorld({
      project: { "src/main.c": "int main;" },
      finds: ["F./out/app", "F./out/lib/one.a"],
      command: ({ cwd }, { host, print }) =>
        Effect.gen(function* () {
          ran++
          // How much is shown of what it printed is a matter of time.
          if (options.cancelled === true) {
            return yield* Effect.zipRight(Effect.orDie(made.store.requestCancel(id(1))), Effect.never)
          }
          yield* print("compiling with correct-horse\n")
          yield* host.makeFolder(join(cwd!, "out/lib"))
          yield* host.write(join(cwd!, "out/app"), "a program")
          yield* host.write(join(cwd!, "out/lib/one.a"), "a library")
          return options.fails === true ? 3 : 0
        }),
      inputs: { command: "make", collect: ["out"], ...(options.own === true ? {} : { into }) },
      ...secret
    })
    // The workspace of a project is the same each time.
    const next = Effect.flatMap(made.host.list(made.workIn), ([workspace = ""]) =>
      made.host.write(join(made.workIn, workspace, "made.o"), "by the next build")
    )
    return { made, folders: [into, made.folder], next, also: () => ({ ran }) }
  })

const stays = (what: string, scene: SceneOf, expected: object, places: number) =>
  it.live(what, () =>
    Effect.gen(function* () {
      const told = yield* stoppedEverywhere(scene)
      expect(told.expected).toMatchObject({ running: [], secrets: {}, holder: null, ...expected })
      expect(told.places.length).toBeGreaterThan(places)
    })
  )

/** A build that fails at its end, having made the file that it is to keep. */
const failing: PackerScripted.Script = {
  ...PackerScripted.building({ qemu: {} }),
  files: { [`/elsewhere/home/jobs/${id(1)}/1/output/demo`]: "half a disk" },
  when: ({ _tag }) => (_tag === "Ends" ? failure : Effect.void)
}

const panic = new ProvisionError({ reason: "packer-crashed", message: "it panicked", hint: "" })

const noSecret = { secrets: [], variables: [], values: {} }

/**
 * A build whose Packer waits for a port, which is free once the first supervisor was stopped before so many writes. That
 * one goes on while the second one follows the build: how it ended, and whether its end was decided when it stopped.
 */
const withoutPort = (writes: number) =>
  Effect.gen(function* () {
    let port: string | undefined = "5900"
    let made: World
    const free = yield* Deferred.make<void>()
    const folder = HostPath(`/elsewhere/home/jobs/${id(1)}/1/build`)
    const isEnded = Effect.suspend(() =>
      Effect.map(made.host.jobStatus(folder), ({ _tag }) => _tag === "Interrupted")
    )
    const ended = Effect.repeat(isEnded, { until: (yes) => yes, schedule: Schedule.spaced("1 second") })
    made = yield* buildWorld({
      script: {
        ...script,
        when: ({ _tag }) =>
          _tag === "Said"
            ? Effect.raceFirst(Deferred.await(free), Effect.zipRight(Effect.orDie(ended), failure))
            : Effect.void
      },
      waitsFor: () => port
    })
    const stop = yield* stopBehind(writes)
    const first = yield* Effect.fork(made.superviseAndStop(1, 1, stop))
    yield* Effect.raceFirst(Fiber.await(first), stop.reached)
    const decided = (yield* made.store.steps(id(1), 1)).some(({ key }) => key === "verdict")
    port = undefined
    made.dead.add(1)
    const second = yield* Effect.fork(made.supervise(1, 2))
    yield* Effect.sleep("5 seconds")
    yield* stop.goOn
    yield* Fiber.await(first)
    yield* Effect.sleep("5 seconds")
    yield* Deferred.succeed(free, undefined)
    yield* Fiber.join(second)
    const { failure: why, state } = yield* made.get(1)
    return { through: stop.at() === "nothing", decided, state, reason: why?.reason }
  }).pipe(Effect.scoped)

it.live(
  "a supervisor that continues while another one follows the build ends the build only if it had decided so",
  () =>
    Effect.gen(function* () {
      const all: Array<Effect.Effect.Success<ReturnType<typeof withoutPort>>> = []
      while (all.at(-1)?.through !== true) all.push(yield* withoutPort(all.length))
      expect(all.map(({ reason, state }) => [state, reason])).toEqual(
        all.map(({ decided }) => (decided ? ["failed", "port-taken"] : ["ready", undefined]))
      )
      expect(all.filter(({ decided }) => decided).length).toBeGreaterThan(1)
      expect(all.filter(({ decided }) => !decided).length).toBeGreaterThan(10)
    }).pipe(inVirtualTime, Effect.provide(platform))
)

describe("a supervisor that is stopped before a write and continues after another one has finished", () => {
  stays("changes nothing of a build", buildScene({}), { state: "ready", also: { built: 1, ran: 1 } }, 60)

  stays(
    "changes nothing of a build that replaces an image",
    buildScene({
      there: { "demo-one.qcow2": "old", "demo-two.qcow2": "old", other: "stays" },
      inputs: { force: true }
    }),
    { state: "ready" },
    60
  )

  stays(
    "changes nothing of a build that removes its images again",
    buildScene({
      converting: (_, folder) => Effect.sync(() => writeFileSync(`${folder}/demo-two.qcow2`, "somebody's")),
      next: { "demo-one.qcow2": "qcow2 of one", "demo-one.qcow2.sha256": "of the same image" }
    }),
    { state: "failed", failure: { reason: "output-exists" }, artifacts: [] },
    60
  )

  stays(
    "changes nothing of a build that is cancelled",
    buildScene({
      converting: ({ store }) => Effect.zipRight(Effect.orDie(store.requestCancel(id(1))), Effect.never)
    }),
    { state: "cancelled", artifacts: [], also: { built: 1, ran: 1 } },
    50
  )

  stays(
    "changes nothing of a failed build whose files are kept",
    buildScene({
      ...noSecret,
      script: failing,
      program: (command, process) => (command.program === "mv" ? mv(command, process) : undefined),
      inputs: { on_error: "keep", format: "as-built" }
    }),
    { state: "failed", failure: { reason: "provisioner-failed" } },
    30
  )

  stays(
    "changes nothing of a build whose crash.log is kept",
    buildScene({
      ...noSecret,
      script: {
        ...PackerScripted.building({ qemu: {} }),
        files: { "crash.log": "panic: it went wrong" },
        when: ({ _tag }) => (_tag === "Ends" ? panic : Effect.void)
      },
      program: ({ args, program }, { host, print }) => {
        const file = HostPath(args.at(-1) ?? "")
        return program === "cat"
          ? Effect.flatMap(host.info(file), (info) =>
              info === undefined ? Effect.succeed(1) : Effect.as(print("panic: it went wrong"), 0)
            )
          : program === "rm"
            ? Effect.as(host.remove(file), 0)
            : undefined
      },
      inputs: { format: "as-built" },
      // The next build may panic, too.
      nextInTemplate: "crash.log"
    }),
    {
      state: "failed",
      failure: {
        reason: "packer-crashed",
        hint: expect.stringContaining("A redacted copy of Packer's crash.log")
      }
    },
    30
  )

  stays(
    "changes nothing of an OVA",
    buildScene({
      ...noSecret,
      script: PackerScripted.building({ qemu: { "out/demo": "one", "out/demo-1": "two" } }),
      template: ["demo.json", JSON.stringify({ builders: [{ type: "qemu", memory: 768 }] })],
      program: ({ args, program }, { host, print }) =>
        program === "qemu-img"
          ? args[0] === "convert"
            ? Effect.as(host.write(HostPath(args.at(-1) ?? ""), `vmdk of ${args.at(-2)}`), 0)
            : Effect.as(print(JSON.stringify({ format: "qcow2", "virtual-size": 1024 ** 3 })), 0)
          : args[2] === "ova"
            ? Effect.as(host.write(HostPath(args[3] ?? ""), `tar of ${args.slice(7).join(" ")}`), 0)
            : undefined,
      inputs: { format: "ova" }
    }),
    { state: "ready", also: { built: 1, ran: 3 } },
    70
  )

  stays(
    "changes nothing of the results of attach mode",
    attachScene(),
    { state: "ready", also: { ran: 1 } },
    40
  )

  stays(
    "changes nothing of the artifacts of attach mode",
    attachScene({ own: true }),
    { state: "ready", also: { ran: 1 } },
    40
  )

  stays(
    "changes nothing of a command that is cancelled",
    attachScene({ cancelled: true }),
    { state: "cancelled", also: { ran: 1 } },
    30
  )

  stays(
    "changes nothing of a command that failed",
    attachScene({ fails: true, own: true }),
    { state: "failed", failure: { reason: "command-failed" }, also: { ran: 1 } },
    40
  )
})

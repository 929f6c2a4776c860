import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ProvisionError } from "../../../../src/domain/Failure.js"
import { HostPath, join } from "../../../../src/domain/HostPath.js"
import type { BuildRequest } from "../../../../src/packer/Packer.js"
import { PackerScripted } from "../../../../src/testing.js"
import { id, passTimeUntil, platform, type World } from "../../../support/inMemory.js"
import { type BuildOptions, build, buildWorld } from "./buildWorld.js"

const failure = new ProvisionError({
  reason: "provisioner-failed",
  message: "it went wrong",
  hint: "See the log."
})

/** A template whose build makes a disk in its output folder, and fails. */
const failing = (type: string, more: Partial<PackerScripted.Script> = {}): PackerScripted.Script => ({
  ...PackerScripted.building({ [type]: {} }),
  files: { [`/elsewhere/home/jobs/${id(1)}/1/output/demo`]: "half a disk" },
  when: ({ _tag }) => (_tag === "Ends" ? failure : Effect.void),
  ...more
})

/** Files are kept by moving them. */
const mv: BuildOptions["program"] = ({ args, program }, { host }) => {
  if (program !== "mv") return undefined
  const [from, to] = args.slice(-2).map(HostPath)
  return host.list(from!).pipe(
    Effect.flatMap((names) => Effect.forEach(names, (name) => host.write(join(to!, name), "half a disk"))),
    Effect.zipLeft(host.remove(from!)),
    (moved) => Effect.zipRight(host.makeFolder(to!), moved),
    Effect.as(0)
  )
}

const keep = { on_error: "keep" }
const keptFolder = `/elsewhere/home/kept/${id(1)}`
const kept = ({ host }: Pick<World, "host">) =>
  [...host.files.keys()].filter((file) => file.includes("/kept/"))

const requestOf = (asked: ReadonlyArray<PackerScripted.Asked>): BuildRequest =>
  asked.flatMap((one) => (one._tag === "Build" ? [one.request] : []))[0]!

const warnings = (made: Pick<World, "store">) =>
  Effect.map(Effect.orDie(made.store.events(id(1), 0)), (events) =>
    events.filter(({ type }) => type === "warning").map(({ message }) => message)
  )

describe("on_error=keep", () => {
  it.scoped("keeps the files of a qemu build, and reports where", () =>
    Effect.gen(function* () {
      const made = yield* build({ script: failing("qemu"), inputs: keep, program: mv })
      expect(requestOf(made.asked).onError).toBe("abort")
      expect(made.record.failure).toMatchObject({
        reason: "provisioner-failed",
        message: "it went wrong",
        hint: `See the log; what it had made by then is kept in ${keptFolder} until you or reap remove it`
      })
      expect(kept(made)).toEqual([`${keptFolder}/demo`])
      // And nothing else: no log, no variables.
      expect([...made.host.files.keys()].filter((file) => file.includes(`/jobs/${id(1)}`))).toEqual([])
      const failed = (yield* made.store.events(id(1), 0)).find((event) => event.type === "failed")
      expect(failed?.data.hint).toContain(keptFolder)
    }).pipe(Effect.provide(platform))
  )

  it.scoped(
    "keeps nothing if a machine would keep running, or the output folder is not the attempt's own",
    () =>
      Effect.gen(function* () {
        const machine = yield* build({ script: failing("virtualbox-iso"), inputs: keep, program: mv })
        expect(requestOf(machine.asked).onError).toBe("cleanup")
        expect(yield* warnings(machine)).toEqual([
          "on_error=keep keeps nothing: machines of virtualbox-iso would keep running"
        ])
        expect(kept(machine)).toEqual([])
        expect(machine.record.failure?.hint).toBe("See the log.")

        const folder = yield* build({
          script: failing("qemu", { variables: ["vm_name"] }),
          inputs: keep,
          program: mv
        })
        expect(requestOf(folder.asked).onError).toBe("cleanup")
        expect(yield* warnings(folder)).toEqual([
          "on_error=keep keeps nothing: the template declares no variable output_directory"
        ])
        expect(kept(folder)).toEqual([])
      }).pipe(Effect.provide(platform))
  )

  it.scoped.each([
    [{ only: ["qemu"] }, "abort"],
    [{ except: ["virtualbox-iso"] }, "abort"],
    [{ only: ["qemu", "virtualbox-iso"] }, "cleanup"],
    // Only Packer can evaluate a pattern.
    [{ only: ["q*"] }, "cleanup"],
    [{ only: ["qemu", "v*"] }, "cleanup"],
    [{}, "cleanup"]
  ] as const)("considers only the builds that will run: %j", ([inputs, expected]) =>
    Effect.gen(function* () {
      const script = failing("qemu", { builds: ["qemu", "virtualbox-iso"] })
      const made = yield* build({ script, inputs: { ...keep, ...inputs }, program: mv })
      expect(requestOf(made.asked).onError).toBe(expected)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is needed: by default Packer cleans up", () =>
    Effect.gen(function* () {
      const made = yield* build({ script: failing("qemu"), program: mv })
      expect(requestOf(made.asked).onError).toBe("cleanup")
      expect(kept(made)).toEqual([])
      expect(made.record.failure?.hint).toBe("See the log.")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("keeps nothing of a build that succeeds, or is cancelled", () =>
    Effect.gen(function* () {
      const file = `/elsewhere/home/jobs/${id(1)}/1/output/demo`
      const well = yield* build({
        script: PackerScripted.building({ qemu: { [file]: "a disk" } }),
        inputs: keep,
        program: mv
      })
      expect(well.record.state).toBe("ready")
      expect(kept(well)).toEqual([])

      const script = failing("qemu", { when: ({ _tag }) => (_tag === "Ends" ? Effect.never : Effect.void) })
      const cancelled = yield* buildWorld({ script, inputs: keep, program: mv })
      const fiber = yield* Effect.fork(cancelled.supervise(1))
      yield* cancelled.store.requestCancel(id(1))
      yield* passTimeUntil(fiber)
      expect((yield* cancelled.get(1)).state).toBe("cancelled")
      expect(kept(cancelled)).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("leaves Packer's list of skipped clean-ups out of the log", () =>
    Effect.gen(function* () {
      const script = failing("qemu")
      const said = (text: string) =>
        ({ _tag: "Line", time: 0, build: "qemu", stream: "error", text }) as const
      const made = yield* build({
        script: {
          ...script,
          events: [said("why"), said('aborted: skipping cleanup of step "StepConnect"'), said("the end")]
        },
        inputs: keep,
        program: mv
      })
      expect(made.record.failure?.logTail).toEqual(["why", "the end"])
    }).pipe(Effect.provide(platform))
  )
})

import { readdirSync, readFileSync } from "node:fs"
import { dirname } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { PackerScripted } from "../../src/testing.js"
import { type BuildOptions, buildWorld } from "../extensions/vm-packer/build/buildWorld.js"
import { survivesEachDeath } from "../support/crashPoints.js"
import { id, passTimeUntil, platform, temporaryFolder } from "../support/inMemory.js"

const script = PackerScripted.building({ one: { "out/one": "image one" }, two: { "out/two": "image two" } })

/** Two builds, one of whose images is converted, and a secret. */
const options: BuildOptions = {
  script: {
    ...script,
    variables: ["vm_name", "output_directory", "password"],
    events: [
      { _tag: "Line", time: 0, build: "one", stream: "say", text: "the password is correct-horse" },
      ...script.events
    ]
  },
  inputs: { format: "qcow2" },
  formats: { one: "raw", two: "qcow2" },
  secrets: ["password"],
  variables: ["password"],
  values: { password: Redacted.make("correct-horse") }
}

type BuildWorld = Effect.Effect.Success<ReturnType<typeof buildWorld>>

/** How a provision ended, without what differs between two that end the same. */
const ending = (made: BuildWorld) =>
  Effect.gen(function* () {
    const { artifacts, failure, logPath, phase, state } = yield* made.get(1)
    const events = yield* made.store.events(id(1), 0)
    const notes = yield* made.notes
    expect(failure).toBeNull()
    const folder = dirname(artifacts[0]!.path)
    const relative = (text: string) => text.replaceAll(folder, "FOLDER").replaceAll(made.folder, "TEMPLATE")
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    // The last ones are sent later if the supervisor died after the end.
    expect(notes.map((note) => note.id)).toEqual(events.slice(0, notes.length).map((event) => event.id))
    return {
      state,
      phase: phase?.name,
      artifacts: artifacts.map(({ id: _, path, ...artifact }) => ({ ...artifact, path: relative(path) })),
      published: readdirSync(folder).sort(),
      events: events
        .filter(({ type }) => type !== "taken-over")
        .map(({ data, message, phase: at, type }) => [type, at, relative(message), data]),
      log: readFileSync(logPath ?? "", "utf8"),
      logs: readdirSync(`${made.home}/logs`).length,
      secrets: yield* made.secrets.get(id(1), 1),
      built: made.asked.filter(({ _tag }) => _tag === "Build").length,
      converted: made.host.commands.filter(({ args }) => args[0] === "convert").length,
      running: yield* made.host.running,
      left: [...made.host.files.keys()].filter((file) => file.includes(id(1))),
      holder: (yield* made.store.lease(id(1)).read).holder
    }
  })

const undisturbed = Effect.scoped(
  Effect.gen(function* () {
    const made = yield* buildWorld(options)
    yield* made.supervise(1)
    return yield* ending(made)
  })
)

/**
 * Runs it with supervisors that die after so many calls each, then with one that does not. Its images go to a folder
 * of the user's, where those of a supervisor that died are not to be taken for another's.
 */
const disturbed = (calls: ReadonlyArray<number>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const output_directory = yield* temporaryFolder
      const made = yield* buildWorld({ ...options, inputs: { ...options.inputs, output_directory } })
      const died = yield* Effect.forEach(calls, (each, index) => made.superviseAndDie(1, index + 1, each))
      yield* made.supervise(1, calls.length + 1)
      return { died: died.includes(true), ended: yield* ending(made) }
    })
  )

describe("a build whose supervisor dies", () => {
  it.effect("ends as if it had not died, at any call", () =>
    Effect.gen(function* () {
      const expected = yield* undisturbed
      expect(expected).toMatchObject({
        state: "ready",
        published: ["demo-one.qcow2", "demo-one.qcow2.sha256", "demo-two.qcow2", "demo-two.qcow2.sha256"],
        built: 1,
        converted: 1,
        secrets: {},
        running: [],
        left: [],
        logs: 1,
        holder: null
      })
      const survived = yield* survivesEachDeath(disturbed, expected)
      // It died at calls from the first to the last.
      expect(survived).toBeGreaterThan(80)
    }).pipe(Effect.provide(platform))
  )

  it.effect("ends as if it had not died, also if the next supervisors die too", () =>
    Effect.gen(function* () {
      const expected = yield* undisturbed
      for (let calls = 10; calls < 100; calls += 9) {
        const { ended } = yield* disturbed([calls, 100 - calls, calls])
        expect(ended, `after ${calls} calls`).toEqual(expected)
      }
    }).pipe(Effect.provide(platform))
  )
})

describe("a build that is interrupted while Packer runs", () => {
  /** A build that has entered the phase boot, and stays there until `go`. */
  const booting = Effect.gen(function* () {
    const boots = yield* Deferred.make<void>()
    const go = yield* Deferred.make<void>()
    const made = yield* buildWorld({
      ...options,
      script: {
        ...options.script,
        when: (asked) =>
          asked._tag === "Said" && asked.event._tag === "Phase" && asked.event.phase === "boot"
            ? Effect.zipRight(Deferred.succeed(boots, undefined), Deferred.await(go))
            : Effect.void
      }
    })
    const first = yield* Effect.fork(made.supervise(1, 1))
    yield* Deferred.await(boots)
    return { ...made, first, go: Deferred.succeed(go, undefined) }
  })

  it.scoped("is followed by the next supervisor", () =>
    Effect.gen(function* () {
      const made = yield* booting
      yield* Fiber.interrupt(made.first)
      expect((yield* made.get(1)).state).toBe("provisioning")
      const second = yield* Effect.fork(made.supervise(1, 2))
      yield* made.go
      yield* Fiber.join(second)
      expect(yield* ending(made)).toEqual(yield* undisturbed)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("continues under the next supervisor only, once that has the lease", () =>
    Effect.gen(function* () {
      const made = yield* booting
      made.dead.add(1)
      const second = yield* Effect.fork(made.supervise(1, 2))
      yield* Effect.repeat(Effect.yieldNow(), {
        until: () => Effect.map(made.store.lease(id(1)).read, ({ term }) => term === 2)
      })
      yield* made.go
      yield* Fiber.join(second)
      yield* Fiber.join(made.first)
      expect(yield* ending(made)).toEqual(yield* undisturbed)
    }).pipe(Effect.provide(platform))
  )

  it.scoped("ends when it is cancelled, and leaves nothing", () =>
    Effect.gen(function* () {
      const made = yield* booting
      yield* made.store.requestCancel(id(1))
      yield* passTimeUntil(made.first)
      const { artifacts, endedAt, state } = yield* made.get(1)
      expect({ artifacts, state }).toEqual({ artifacts: [], state: "cancelled" })
      expect(DateTime.toEpochMillis(endedAt!)).toBeLessThan(5000)
      const last = (yield* made.store.events(id(1), 0)).at(-1)
      expect(last).toMatchObject({ type: "cancelled", data: { proof: { jobs: 1, killed: 0, left: 0 } } })
      expect([...made.host.files.keys()].filter((file) => file.includes(id(1)))).toEqual([])
      expect(yield* made.secrets.get(id(1), 1)).toEqual({})
    }).pipe(Effect.provide(platform))
  )
})

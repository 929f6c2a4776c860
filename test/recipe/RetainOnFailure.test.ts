import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ProvisionError } from "../../src/domain/Failure.js"
import { HostPath, join } from "../../src/domain/HostPath.js"
import { Host } from "../../src/hosts/Host.js"
import { retainOnFailure } from "../../src/recipe/RetainOnFailure.js"
import { Steps } from "../../src/recipe/Steps.js"
import type { HostMemory } from "../../src/testing.js"
import {
  extensionOf,
  id,
  passTimeUntil,
  plan,
  platform,
  type WorldOptions,
  world
} from "../support/inMemory.js"

const broken = new ProvisionError({ reason: "build-failed", message: "it broke", hint: "Mend it." })

/** A recipe that makes files in a folder that is to be kept, and one beside it; then it ends as told. */
const recipe = (files: ReadonlyArray<string>, end: Effect.Effect<never, ProvisionError>) =>
  Effect.gen(function* () {
    const host = yield* Host
    const steps = yield* Steps
    const folder = join(steps.folder, "output")
    yield* retainOnFailure(folder)
    yield* host.makeFolder(folder)
    for (const name of files) yield* host.write(join(folder, name), name)
    yield* host.write(join(steps.folder, "variables.json"), "secret")
    return yield* end
  })

const mv: HostMemory.Program = ({ args, program }, { host }) =>
  Effect.gen(function* () {
    if (program !== "mv") return 1
    const [from, to] = args.slice(-2).map(HostPath)
    yield* host.makeFolder(to!)
    for (const name of yield* host.list(from!)) yield* host.write(join(to!, name), "moved")
    yield* host.remove(from!)
    return 0
  })

const kept = `/elsewhere/home/kept/${id(1)}`
const where = `what it had made by then is kept in ${kept} until you or reap remove it`

const begun = (options: Partial<WorldOptions> & { readonly recipe: ReturnType<typeof recipe> }) =>
  world({ program: mv, extensions: [extensionOf(options.recipe)], ...options })

describe("retainOnFailure", () => {
  it.scoped("retains the named folder of a failed provision and nothing else", () =>
    Effect.gen(function* () {
      const made = yield* begun({ recipe: recipe(["disk", "efivars"], broken) })
      yield* made.record(1, plan())
      yield* made.supervise(1)
      expect((yield* made.get(1)).failure?.hint).toBe(`Mend it; ${where}`)
      expect([...made.host.files.keys()]).toEqual([`${kept}/disk`, `${kept}/efivars`])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("retains the folder of a provision that timed out", () =>
    Effect.gen(function* () {
      const made = yield* begun({ recipe: recipe(["disk"], Effect.never) })
      yield* made.record(1, plan({ timeoutSeconds: 3 }))
      yield* passTimeUntil(yield* Effect.fork(made.supervise(1)))
      const { failure } = yield* made.get(1)
      expect(failure?.reason).toBe("timed-out")
      expect(failure?.hint).toContain(where)
      expect([...made.host.files.keys()]).toEqual([`${kept}/disk`])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("retains nothing if nothing was made", () =>
    Effect.gen(function* () {
      const made = yield* begun({ recipe: recipe([], broken) })
      yield* made.record(1, plan())
      yield* made.supervise(1)
      expect((yield* made.get(1)).failure?.hint).toBe("Mend it.")
      expect([...made.host.files.keys()]).toEqual([])
      expect(made.host.commands).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("reports that the folder cannot be moved, and the provision ends anyway", () =>
    Effect.gen(function* () {
      const made = yield* begun({ recipe: recipe(["disk"], broken), program: () => Effect.succeed(1) })
      yield* made.record(1, plan())
      yield* made.supervise(1)
      const { failure, state } = yield* made.get(1)
      expect(state).toBe("failed")
      expect(failure?.reason).toBe("build-failed")
      expect(failure?.hint).toMatch(/^Mend it; \S+\/output cannot be retained: /)
      expect([...made.host.files.keys()]).toEqual([])
    }).pipe(Effect.provide(platform))
  )

  it.scoped("moves the folder once, wherever supervisors die", () =>
    Effect.gen(function* () {
      let deaths = 0
      for (let calls = 1, died = true; died; calls++) {
        const made = yield* begun({ recipe: recipe(["disk"], broken) })
        yield* made.record(1, plan())
        died = yield* made.superviseAndDie(1, 1, calls)
        if (died) deaths++
        yield* made.supervise(1, 2)
        expect((yield* made.get(1)).failure?.hint).toBe(`Mend it; ${where}`)
        expect([...made.host.files.keys()]).toEqual([`${kept}/disk`])
      }
      expect(deaths).toBeGreaterThan(10)
    }).pipe(Effect.provide(platform))
  )
})

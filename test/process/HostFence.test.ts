/** What a host does behind a fence, and does no more once that was taken down: here, and over a real sshd. */
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { HostPath } from "../../src/domain/HostPath.js"
import type { Placement } from "../../src/domain/Placement.js"
import { type HostShape, Hosts } from "../../src/hosts/Host.js"
import * as ByPlacement from "../../src/hosts/placement/HostsByPlacement.js"
import { layerHome } from "../../src/settings/Settings.js"
import { Sshd } from "../support/sshd.js"
import { lives, until } from "./until.js"

const tools = fs.mkdtempSync(join(tmpdir(), "sandboxer-tools-"))
let sshd: Sshd
let here: string
beforeAll(async () => {
  // An rsync over there that has begun, and comes to nothing.
  fs.writeFileSync(
    join(tools, "rsync"),
    `#!/bin/sh\n[ ! -e "$HOME/odd" ] || { echo "rsync? what is that?" >&2; exit 127; }\n[ ! -e "$HOME/stuck" ] || { echo $$ >"$HOME/begun"; sleep 1000; }\nexec /usr/bin/rsync "$@"\n`,
    { mode: 0o755 }
  )
  sshd = await Sshd.start({ path: `${tools}:${process.env.PATH}` })
})
afterAll(async () => {
  await sshd.dispose()
  fs.rmSync(tools, { recursive: true })
})
beforeEach(() => {
  here = fs.mkdtempSync(join(tmpdir(), "sandboxer-fence-"))
  fs.mkdirSync(join(here, "project"))
  fs.writeFileSync(join(here, "project/new"), "new")
})
afterEach(() => fs.rmSync(here, { recursive: true, force: true }))

const kept = { exclude: [], gitignore: false, dryRun: false }
const take = { stop: "group", graceSeconds: 0 } as const

/** Whether a command is one that nothing watches over. */
const both = [false, true]

/** A folder that others use, too, the fence of a term, and one attempt's folder that it is in. */
const fenced = (host: HostShape) =>
  Effect.gen(function* () {
    const attempt = HostPath(join(host.home, "jobs it's", here.slice(-6), "1"))
    const shared = HostPath(join(host.home, "work", here.slice(-6)))
    yield* host.makeFolder(attempt)
    yield* host.makeFolder(shared)
    const fence = HostPath(join(attempt, "fence.1"))
    return {
      attempt,
      fence,
      shared,
      sync: host.sync(join(here, "project"), shared, { ...kept, fence }),
      /** What would do harm, were it late. */
      late: [
        Effect.asVoid(host.sync(join(here, "project"), shared, { ...kept, fence })),
        ...both.map((brief) =>
          Effect.asVoid(
            host.run({ program: "sh", args: ["-c", "rm -f other; : >late"], cwd: shared }, { brief, fence })
          )
        )
      ],
      run: (line: string, brief: boolean) =>
        host.run({ program: "sh", args: ["-c", line], cwd: shared }, { brief, fence }),
      /** Somebody else's, in the folder that is used next. */
      others: Effect.sync(() => fs.writeFileSync(join(shared, "other"), "somebody's"))
    }
  })

const on = (placement: Placement, use: (host: HostShape) => Effect.Effect<void, unknown>) =>
  Hosts.pipe(
    Effect.flatMap((hosts) => hosts.get(placement)),
    Effect.flatMap(use),
    Effect.provide(ByPlacement.layer),
    Effect.provide(layerHome(here))
  )

const hosts: ReadonlyArray<readonly [name: string, placement: () => Placement]> = [
  ["this machine", () => ({ host: "local" })],
  ["a host over SSH", () => ({ host: "kvm1", connection: sshd.connection })]
]

for (const [name, placement] of hosts) {
  const test = (use: (host: HostShape) => Effect.Effect<void, unknown>) => () => on(placement(), use)

  describe(`behind a fence, on ${name}`, () => {
    it.live(
      "an open fence lets commands run and folders sync, and leaves nothing",
      test((host) =>
        Effect.gen(function* () {
          const { attempt, run, shared, sync } = yield* fenced(host)
          expect(yield* sync).toEqual([{ kind: "sent", path: "new" }])
          for (const brief of both) {
            expect(yield* run("cat new; echo said >&2; exit 3", brief)).toEqual({
              exitCode: 3,
              stdout: "new",
              stderr: "said\n"
            })
          }
          expect(fs.readdirSync(shared)).toEqual(["new"])
          expect(fs.readdirSync(attempt)).toEqual([])
        })
      )
    )

    it.live(
      "nothing starts after the fence was closed",
      test((host) =>
        Effect.gen(function* () {
          const { fence, late, others, shared } = yield* fenced(host)
          expect(yield* host.stopJob(fence, take)).toEqual({ killed: 0, left: 0 })
          yield* others
          for (const one of late) {
            expect((yield* Effect.flip(one)).message).toContain("another supervisor took over")
          }
          expect(fs.readdirSync(shared)).toEqual(["other"])
        })
      )
    )

    it.live(
      "nothing starts after the attempt's folder was removed",
      test((host) =>
        Effect.gen(function* () {
          const { attempt, fence, late, others, shared } = yield* fenced(host)
          yield* host.remove(attempt)
          yield* others
          for (const one of late) yield* Effect.flip(one)
          expect(fs.readdirSync(shared)).toEqual(["other"])
          // Nothing is made anew by taking it down, either.
          yield* host.stopJob(fence, take)
          expect(fs.existsSync(attempt)).toBe(false)
        })
      )
    )

    it.live.each(both)("closing it ends what had started (brief: %s)", (brief) =>
      on(placement(), (host) =>
        Effect.gen(function* () {
          const { fence, run, shared } = yield* fenced(host)
          const running = yield* Effect.fork(run("echo $$ >pid; sleep 1000; : >late", brief))
          const pid = yield* until("its pid", () => {
            const file = join(shared, "pid")
            return fs.existsSync(file) && Number(fs.readFileSync(file, "utf8"))
          })
          expect((yield* host.stopJob(fence, take)).killed).toBeGreaterThan(0)
          expect(lives(pid)).toBe(false)
          yield* Fiber.await(running)
          expect(fs.readdirSync(shared)).toEqual(["pid"])
        })
      )
    )
  })
}

describe("a fence on a host over SSH", () => {
  const test = (use: (host: HostShape) => Effect.Effect<void, unknown>) => () =>
    on({ host: "kvm1", connection: sshd.connection }, use)

  it.live(
    "ends a hanging rsync there, which does not start again",
    test((host) =>
      Effect.gen(function* () {
        const { fence, others, shared, sync } = yield* fenced(host)
        fs.writeFileSync(join(sshd.home, "stuck"), "")
        const syncing = yield* Effect.fork(Effect.flip(sync))
        const begun = join(sshd.home, "begun")
        const pid = yield* until("rsync over there", () =>
          fs.existsSync(begun) ? Number(fs.readFileSync(begun, "utf8")) : undefined
        )
        yield* host.stopJob(fence, take)
        expect(lives(pid)).toBe(false)
        fs.rmSync(join(sshd.home, "stuck"))
        yield* others
        expect((yield* Fiber.join(syncing)).message).toContain("another supervisor took over")
        expect(fs.readdirSync(shared)).toEqual(["other"])
      })
    )
  )

  it.live(
    "a missing rsync is recognised by its exit code, whatever the shell prints",
    test((host) =>
      Effect.gen(function* () {
        const { sync } = yield* fenced(host)
        fs.writeFileSync(join(sshd.home, "odd"), "")
        const error = yield* Effect.ensuring(
          Effect.flip(sync),
          Effect.sync(() => fs.rmSync(join(sshd.home, "odd")))
        )
        expect(error.reason).toBe("program-missing")
      })
    )
  )

  it.live(
    "stages a folder until the fence is closed",
    test((host) =>
      Effect.gen(function* () {
        const { fence } = yield* fenced(host)
        const place = host.stage(join(here, "project"), Effect.succeed(fence))
        const placed = yield* place
        fs.writeFileSync(join(placed, "made"), "by a build")
        yield* host.stopJob(fence, take)
        yield* Effect.flip(Effect.asVoid(place))
        expect(fs.readdirSync(placed).sort()).toEqual(["made", "new"])
      })
    )
  )
})

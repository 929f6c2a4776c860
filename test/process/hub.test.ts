/** A State Hub that is away, slow, or talks nonsense: no build fails of it, no command waits for it, no note is lost. */
import { chmodSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Note, Note as NoteSchema } from "../../src/domain/Note.js"
import { layerStore } from "../../src/node.js"
import { layerHome } from "../../src/settings/Settings.js"
import { SandboxStore } from "../../src/store/SandboxStore.js"
import { id, note, plan, platform, requested, sandbox, takeLease } from "../support/inMemory.js"
import { shortest, timeLimit, waitFor } from "../support/patience.js"
import { it, type Lab, type Outcome, type SandboxJson } from "./harness.js"
import { type Behaviour, behaviours, HubServer } from "./hubServer.js"

interface StatusJson {
  readonly waiting: number
  readonly delivered: number
  readonly refused: number
  readonly refusedNotes: ReadonlyArray<{ readonly id: string; readonly reason: string }>
  readonly paused: boolean
  readonly lastAnswer: string | null
  readonly nextTryAt: string | null
}

/** A test with a hub beside the lab. */
const hubTest = it.extend<{ hub: HubServer }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads which fixtures it uses off the pattern
  hub: async ({}, use) => {
    const hub = new HubServer()
    await hub.open()
    await use(hub)
    await hub.close()
  }
})

const told = async (lab: Lab, hub: HubServer, ...args: ReadonlyArray<string>) => {
  const ended = await lab.start(["hub", ...args], hub.env).ended
  return { ...ended, json: () => JSON.parse(ended.stdout) as StatusJson }
}

/** Builds, and how long it took the command to end behind the end of the provision, in milliseconds. */
const build = async (lab: Lab, hub: HubServer, ...args: ReadonlyArray<string>) => {
  const creating = lab.creating(hub.env, "-i", "vm_name=demo", ...args)
  const { exitCode, sandbox: made, stderr } = await creating.outcome()
  return { exitCode, made, stderr, late: Date.now() - Date.parse(made.endedAt ?? "") }
}

/** What a hub is told of a sandbox, by its events. */
const expected = async (lab: Lab, { id: sandboxId }: SandboxJson) =>
  (await lab.events(sandboxId)).filter(({ type }) => type !== "note").map(({ seq }) => seq)

describe("a State Hub that works", () => {
  hubTest("receives a build's progress with workstream and task, and its end", async ({ hub, lab }) => {
    lab.profile({ hub: { workstream: "of-profile", task: "t1" } })
    lab.hold("guest 1")
    lab.guestPrints("1,,ui,message,    qemu: installing ghc\n")
    const creating = lab.creating(hub.env, "-i", "vm_name=demo", "--workstream", "w1")
    await lab.held("guest 1")
    const supervisor = await lab.supervisor()
    // The token is in the supervisor's environment, and in nothing that it starts.
    const environment = (pid: number) => readFileSync(`/proc/${pid}/environ`, "utf8")
    expect(environment(supervisor)).toContain("STATE_HUB_TOKEN=hub-token")
    expect(readFileSync(`/proc/${supervisor}/cmdline`, "utf8")).not.toContain("hub-token")
    for (const { pid } of lab.calls("packer", "build")) expect(environment(pid)).not.toContain("hub-token")
    await waitFor("a phase", () => [...hub.notes.values()].some(({ event_type }) => event_type === "phase"))
    lab.release("guest 1")
    const { exitCode, sandbox: made } = await creating.outcome()
    expect(exitCode).toBe(0)
    await lab.quiet()
    expect(hub.sequences(made.id)).toEqual(await expected(lab, made))
    expect(hub.doubles).toBe(0)
    const notes = [...hub.notes.values()]
    expect(new Set(notes.map(({ task_id, workstream_id }) => `${workstream_id} ${task_id}`))).toEqual(
      new Set(["w1 t1"])
    )
    expect(hub.authorizations).toEqual(new Set(["Bearer hub-token"]))
    // The phases are those that were planned, and in that order.
    expect(notes[1]).toMatchObject({
      event_type: "planned",
      summary: "demo · planned: build on local, preflight to collect"
    })
    const phases = notes.flatMap(({ event_type, phase }) => (event_type === "phase" ? [phase] : []))
    const planned = notes[1]?.detail.phases as typeof phases
    expect(planned.filter((phase) => phases.includes(phase))).toEqual(phases)
    expect(notes.at(-1)?.summary).toMatch(/^demo · ready · \d.* in all · \w+ took \d/)
    expect(await lab.start(["destroy", "demo"], hub.env).ended).toMatchObject({ exitCode: 0 })
    expect([...hub.notes.values()].at(-1)?.event_type).toBe("destroyed")
    for (const file of lab.files(lab.home)) {
      expect(readFileSync(join(lab.home, file), "latin1"), file).not.toContain("hub-token")
    }
  })

  hubTest(
    "is never sent events of a sandbox that was created before it was configured",
    async ({ hub, lab }) => {
      await lab.created("demo")
      expect((await told(lab, hub, "flush")).exitCode).toBe(0)
      expect((await told(lab, hub, "status", "-o", "json")).json()).toMatchObject({
        waiting: 0,
        delivered: 0
      })
      expect(hub.requests).toBe(0)
    }
  )

  hubTest(
    "receives what the profile selects, with author, workstream and task from environment and flags",
    async ({ hub, lab }) => {
      const heartbeats = async (id: string) =>
        (await lab.events(id)).filter(({ type }) => type === "heartbeat").length
      // What a profile of another kind says of a hub is what it extends, key by key.
      lab.write("profiles/base.yaml", { id: "profile.base", hub: { workstream: "of-base", every: "1 hour" } })
      lab.profile({
        extends: "profile.base",
        heartbeat: "200 ms",
        hub: { task: "of-profile", notes: "all" }
      })
      lab.hold("guest 1")
      lab.guestPrints("1,,ui,message,    qemu: installing ghc\n")
      const env = { ...hub.env, SANDBOXER_TASK: "of-environment" }
      const creating = lab.creating(env, "-i", "vm_name=all")
      await lab.held("guest 1")
      const [id = ""] = (await lab.run(["list", "-q"])).stdout.split("\n")
      await waitFor("three heartbeats", async () => (await heartbeats(id)) > 2)
      lab.release("guest 1")
      const all = await creating.outcome()
      expect(all.exitCode, all.stderr).toBe(0)
      // A note, which is told to those alone who want all.
      const destroyed = await lab.start(["destroy", "all", "--delete-artifacts"], hub.env).ended
      expect(destroyed.exitCode, destroyed.stderr).toBe(0)

      lab.profile({ hub: { workstream: "of-profile", notes: "failures" } })
      lab.speak({ version: "1.6.6", says: { build: { text: "no", exitCode: 1 } } })
      const filed = { ...hub.env, SANDBOXER_WORKSTREAM: "of-environment" }
      const failing = await lab.creating(filed, "-i", "vm_name=failures", "--task", "given").outcome()
      expect(failing.exitCode).toBe(10)
      await lab.quiet()

      const notesOf = ({ sandbox: { id: sandboxId } }: Outcome) =>
        [...hub.notes.values()].filter(({ sandbox_id }) => sandbox_id === sandboxId)
      const events = await lab.events(id)
      const [first] = events.filter(({ type }) => type === "heartbeat")
      expect(notesOf(all).map(({ sequence }) => sequence)).toEqual(
        events.filter(({ seq, type }) => type !== "heartbeat" || seq === first?.seq).map(({ seq }) => seq)
      )
      expect(notesOf(all).map(({ event_type }) => event_type)).toContain("note")
      const places = (outcome: Outcome) => [
        ...new Set(notesOf(outcome).map(({ task_id, workstream_id }) => `${workstream_id} ${task_id}`))
      ]
      expect(places(all)).toEqual(["of-base of-environment"])
      expect(notesOf(failing).map(({ event_type }) => event_type)).toEqual(["failed"])
      expect(notesOf(failing)[0]?.detail).toMatchObject({
        reason: failing.sandbox.failure?.reason,
        hint: failing.sandbox.failure?.hint
      })
      expect(places(failing)).toEqual(["of-environment given"])
    }
  )

  it.for([
    [{ notes: "sometimes" }, "hub.notes"],
    [{ every: "often" }, "hub.every"],
    [{ workstreams: "w" }, "unknown key workstreams"]
  ] as const)("rejects unknown values of a profile's hub settings: %j", async ([keys, said], { lab }) => {
    lab.profile({ hub: keys })
    const { exitCode, stderr } = await lab.run(["create", "--profile", "profile.tiny", "-i", "vm_name=demo"])
    expect(exitCode).toBe(2)
    expect(stderr).toMatch(/^error: \S*tiny\.yaml:\d+:\d+: /)
    expect(stderr).toContain(said)
  })

  hubTest("can have its own path and field names in the configuration", async ({ hub, lab }) => {
    const token = lab.write("token", "of-the-file\n")
    const config = lab.write("config.yaml", {
      hub: { url: hub.env.STATE_HUB_URL, tokenFile: "token", path: "/api/notes", fields: { summary: "text" } }
    })
    const paths = new Set<string | undefined>()
    hub.behaviour = (response, notes, request) => {
      paths.add(request.url)
      expect(Object.keys(notes[0] ?? {})).toContain("text")
      return behaviours.well(response, notes, request)
    }
    const run = (...args: ReadonlyArray<string>) => lab.start(["--config", config, ...args]).ended
    const loose = await run("create", "--profile", "profile.tiny", "-i", "vm_name=demo")
    expect(loose.exitCode, loose.stderr).toBe(0)
    expect(loose.stderr).toContain(`others may read the State Hub's token file ${token}`)
    expect(hub.requests).toBe(0)
    await lab.quiet()
    expect(await run("hub", "flush")).toMatchObject({ exitCode: 4 })
    chmodSync(token, 0o600)
    expect(await run("hub", "flush")).toMatchObject({ exitCode: 0 })
    expect([...paths]).toEqual(["/api/notes"])
    expect(hub.authorizations).toEqual(new Set(["Bearer of-the-file"]))
  })
})

const misbehaving: ReadonlyArray<
  readonly [string, Behaviour | "down", "unavailable" | "misconfigured" | "refused"]
> = [
  ["is down", "down", "unavailable"],
  ["gives no answer", behaviours.silent, "unavailable"],
  ["answers after 30 s", behaviours.slow, "unavailable"],
  ["answers 500", behaviours.error, "unavailable"],
  ["answers 429 with Retry-After", behaviours.busy, "unavailable"],
  ["answers 401", behaviours.unauthorized, "misconfigured"],
  ["answers 404", behaviours.missing, "misconfigured"],
  ["answers 400 for one note", behaviours.refusesOne, "refused"],
  ["closes at once", behaviours.closesAtOnce, "unavailable"],
  ["closes in the middle of its answer", behaviours.closesInMidAnswer, "unavailable"],
  ["sends garbage", behaviours.garbage, "unavailable"]
]

describe.concurrent("a State Hub that", () => {
  hubTest.for(misbehaving)(
    "%s fails no build and receives everything after it recovers",
    async ([, how, kind], { hub, lab }) => {
      // Which heartbeats are sent depends on how long the build takes.
      lab.profile({ heartbeat: "1 hour" })
      if (how === "down") await hub.close()
      else hub.behaviour = how
      const { exitCode, late, made, stderr } = await build(lab, hub)
      expect(exitCode, stderr).toBe(0)
      // 5 s, and what a process takes to end.
      expect(late).toBeLessThan(timeLimit(7000))
      await lab.quiet()
      const status = (await told(lab, hub, "status", "-o", "json")).json()
      const all = await expected(lab, made)
      if (kind === "refused") {
        expect(status).toMatchObject({ waiting: 0, delivered: all.length - 1, refused: 1 })
        expect(status.refusedNotes[0]?.reason).toContain("answers 400: no such phase")
        const { exitCode: flushed, stderr: warning } = await told(lab, hub, "flush")
        expect([flushed, warning]).toEqual([0, "warning: 1 note was rejected; see `sandboxer hub status`\n"])
      } else {
        expect(status).toMatchObject({ waiting: all.length, delivered: 0, refused: 0 })
        expect(status.paused).toBe(kind === "misconfigured")
        expect(Date.parse(status.nextTryAt ?? "")).toBeGreaterThan(0)
        if (kind === "misconfigured") {
          expect(stderr).toContain("warning: no notes are sent to the State Hub until this is corrected: ")
          const flushed = await told(lab, hub, "flush")
          expect(flushed.exitCode).toBe(4)
          expect(flushed.stderr).toContain("notes wait: ")
        }
      }
      if (how === "down") await hub.open()
      hub.behaviour = behaviours.well
      if (kind === "refused") {
        const none = await told(lab, hub, "retry", "nonsense")
        expect([none.exitCode, none.stderr.split("\n")[0]]).toEqual([
          3,
          "error: no note nonsense was put aside"
        ])
        expect((await told(lab, hub, "retry", status.refusedNotes[0]?.id ?? "")).exitCode).toBe(0)
      }
      expect((await told(lab, hub, "flush")).exitCode).toBe(0)
      expect((await told(lab, hub, "status", "-o", "json")).json()).toMatchObject({
        waiting: 0,
        delivered: all.length,
        refused: 0,
        lastAnswer: "taken"
      })
      expect([...hub.sequences(made.id)].sort((a, b) => a - b)).toEqual(all)
      if (kind !== "refused") expect(hub.sequences(made.id)).toEqual(all)
      // What was taken too late to be heard is sent again, and known by its id.
      if (how !== behaviours.slow) expect(hub.doubles).toBe(0)
    }
  )

  hubTest("is down costs a command nothing until the next try is due", async ({ hub, lab }) => {
    hub.behaviour = (response) => {
      response.writeHead(503, { "retry-after": "3600" }).end()
      return false
    }
    const { exitCode } = await build(lab, hub)
    expect(exitCode).toBe(0)
    await lab.quiet()
    const requests = hub.requests
    expect(await lab.start(["wait", "demo"], hub.env).ended).toMatchObject({ exitCode: 0 })
    expect(await lab.start(["destroy", "demo"], hub.env).ended).toMatchObject({ exitCode: 0 })
    expect(hub.requests).toBe(requests)
  })

  hubTest("does not answer delays a command by at most 5 s", async ({ hub, lab }) => {
    const { made } = await build(lab, hub)
    await lab.quiet()
    hub.behaviour = behaviours.silent
    const asked = hub.requests
    for (const args of [
      ["renew", made.name, "--ttl", "1h"],
      ["destroy", made.name]
    ]) {
      const begun = Date.now()
      expect(await lab.start(args, hub.env).ended).toMatchObject({ exitCode: 0 })
      expect(Date.now() - begun).toBeLessThan(timeLimit(7000))
    }
    // Each asked at most once; on a busy machine the second one starts after the first pause of a second is over.
    expect(hub.requests - asked).toBeGreaterThanOrEqual(1)
    expect(hub.requests - asked).toBeLessThanOrEqual(2)
    hub.behaviour = behaviours.well
    expect((await told(lab, hub, "flush")).exitCode).toBe(0)
    expect(hub.sequences(made.id)).toEqual(await expected(lab, made))
  })

  hubTest("does not answer does not keep a command from ending on a signal", async ({ hub, lab }) => {
    let number = 0
    /** How long `destroy` takes to end after a signal that it gets while it waits for the hub, in milliseconds. */
    const endedBy = async (signal: NodeJS.Signals) => {
      const name = `vm-${++number}`
      hub.behaviour = behaviours.well
      await lab.creating(hub.env, "-i", `vm_name=${name}`).outcome()
      await lab.quiet()
      expect((await told(lab, hub, "flush")).exitCode).toBe(0)
      hub.behaviour = behaviours.silent
      const asked = hub.requests
      const destroy = lab.start(["destroy", name], hub.env)
      await waitFor("a request to the hub", () => hub.requests > asked)
      const begun = performance.now()
      lab.signal(destroy.pid, signal)
      expect(await destroy.ended).toMatchObject({ exitCode: 0, signal: null })
      const took = performance.now() - begun
      expect((await lab.show(name)).state).toBe("destroyed")
      return took
    }
    // It would wait for the hub for five seconds.
    expect(await shortest(2500, () => endedBy("SIGINT"))).toBeLessThan(2500)
    expect(await shortest(2500, () => endedBy("SIGTERM"))).toBeLessThan(2500)
  })

  hubTest("was switched off keeps no record from removal; one that is down does", async ({ hub, lab }) => {
    lab.profile({ ttl: "1 ms" })
    lab.speak({ version: "1.6.6", says: { build: { text: "no", exitCode: 1 } } })
    hub.behaviour = behaviours.error
    const { exitCode, made } = await build(lab, hub)
    expect(exitCode).toBe(10)
    await lab.quiet()
    const reap = async (env: Record<string, string>, ...more: ReadonlyArray<string>) =>
      (await lab.start(["reap", "-q", ...more], env).ended).stdout
    expect([await reap(hub.env, "--dry-run"), await reap(hub.env)]).toEqual(["", ""])
    expect((await lab.show("demo")).state).toBe("failed")
    expect([await reap({}, "--dry-run"), await reap({})]).toEqual([`${made.id}\n`, `${made.id}\n`])
    expect((await told(lab, hub, "status", "-o", "json")).json()).toMatchObject({ waiting: 0 })
  })
})

/** Notes of so many sandboxes, so many of each, which nobody delivers yet. */
const fill = (home: string, sandboxes: number, each: number) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    for (let n = 1; n <= sandboxes; n++) {
      yield* store.create(
        sandbox({ id: id(n), name: `n${n}`, state: "ready", createdAt: DateTime.unsafeMake(n) }),
        plan({ hub: { workstream: "w", task: null, notes: "all", everySeconds: 0 } }),
        requested
      )
      const lease = yield* takeLease(store, id(n), { machine: "", bootId: "", pid: 1, startTime: 0 })
      if (lease === undefined) throw new Error("no lease")
      const events = Array.from({ length: each - 1 }, (_, index) => note(`event ${index}`))
      yield* store.commit(lease, { events })
      yield* store.lease(id(n)).release(lease.term)
    }
  }).pipe(Effect.provide(layerStore.pipe(Layer.provide(layerHome(home)), Layer.provide(platform))))

describe("senders", () => {
  hubTest(
    "killed at random points, eight at a time: every note arrives, in order within its sandbox",
    async ({ hub, lab }) => {
      // test/bench/hub.js does this with 10,000.
      const [sandboxes, each, senders] = [10, 200, 8]
      await Effect.runPromise(fill(lab.home, sandboxes, each))
      let random = 12_345
      const next = () => {
        random = (random * 1_103_515_245 + 12_345) % 2 ** 31
        return random / 2 ** 31
      }
      const running = new Set<number>()
      let kills = 0
      let rounds = 0
      const killSome = () => {
        rounds++
        for (const pid of running) {
          if (next() < 0.5) continue
          running.delete(pid)
          kills++
          lab.signal(pid, "SIGKILL")
        }
      }
      hub.behaviour = (response, notes: ReadonlyArray<Note>, request) => {
        const chance = next()
        // Before it is answered, while it is, or once the answer is being written down.
        if (next() < 0.3) setTimeout(killSome, 15 * next())
        // What it said no to, or nothing, it has not taken; now and then it says yes and is not heard.
        if (chance < 0.03) return behaviours.error(response, notes, request)
        if (chance < 0.06) return behaviours.closesInMidAnswer(response)
        return behaviours.well(response, notes, request)
      }
      const send = async () => {
        for (;;) {
          const sender = lab.start(["hub", "flush"], hub.env)
          running.add(sender.pid)
          const { exitCode, signal } = await sender.ended
          running.delete(sender.pid)
          if (signal !== "SIGKILL" && exitCode === 0) return
        }
      }
      await Promise.all(Array.from({ length: senders }, send))
      const status = (await told(lab, hub, "status", "-o", "json")).json()
      expect(status).toMatchObject({ waiting: 0, delivered: sandboxes * each, refused: 0 })
      expect(hub.notes.size).toBe(sandboxes * each)
      for (let n = 1; n <= sandboxes; n++) {
        expect(hub.sequences(id(n))).toEqual(Array.from({ length: each }, (_, index) => index + 1))
      }
      for (const note of hub.notes.values()) expect(Object.keys(note)).toEqual(Object.keys(NoteSchema.fields))
      // A yes that nobody lived to write down is asked for once more: that batch, and no other.
      expect(kills).toBeGreaterThan(0)
      expect(hub.doubles).toBeLessThanOrEqual(rounds * 100)
    }
  )

  hubTest("eight at once send each note once", async ({ hub, lab }) => {
    await Effect.runPromise(fill(lab.home, 4, 500))
    const ended = await Promise.all(Array.from({ length: 8 }, () => told(lab, hub, "flush")))
    expect(ended.map(({ exitCode }) => exitCode)).toEqual(Array(8).fill(0))
    expect([hub.notes.size, hub.doubles, hub.requests]).toEqual([2000, 0, 20])
  })
})

import { describe, expect } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { type Creating, it, type Lab } from "./harness.js"
import { lives } from "./until.js"

const place = "Provisioning with"

/** A build that stands in the middle. */
const building = async (lab: Lab) => {
  lab.hold(place)
  const create = lab.create("demo")
  await lab.held(place)
  return create
}

const cancelled = async (lab: Lab) => {
  const { exitCode, stderr } = await lab.run(["cancel", "demo"])
  expect(exitCode, stderr).toBe(0)
}

/** The create that follows ends as cancelled, and nothing is left. */
const expectCancelled = async (lab: Lab, create: Creating) => {
  const { exitCode, sandbox, stderr } = await create.outcome()
  expect(exitCode, stderr).toBe(130)
  expect(sandbox).toMatchObject({ state: "cancelled", artifacts: [], failure: null })
  expect(lab.calls("packer", "machine").filter(({ pid }) => lives(pid))).toEqual([])
  lab.expectNothingLeft(sandbox.id)
  return sandbox
}

const proof = async (lab: Lab) =>
  (await lab.events("demo")).find(({ type }) => type === "cancelled")?.data.proof

describe.concurrent("cancel", () => {
  it.for(["1.6.6", "1.16.0"] as const)(
    "Packer %s: ends a build and proves that nothing runs",
    async (version, { lab }) => {
      lab.speak({ version })
      const create = await building(lab)
      await cancelled(lab)
      const sandbox = await expectCancelled(lab, create)
      expect(await proof(lab)).toEqual({ jobs: 1, killed: 0, left: 0 })
      expect(lab.log(sandbox)).toContain("Provisioning with shell script")
    }
  )

  it("can be repeated, and wait on a cancelled sandbox exits with 130", async ({ lab }) => {
    await building(lab)
    await cancelled(lab)
    await cancelled(lab)
    expect((await lab.run(["wait", "demo"])).exitCode).toBe(130)
    expect((await lab.run(["watch", "demo"])).exitCode).toBe(130)
  })

  it("ends what Packer leaves running, in whatever group it is", async ({ lab }) => {
    lab.speak({ version: "1.6.6", leavesOrphans: true })
    const create = await building(lab)
    await cancelled(lab)
    await expectCancelled(lab, create)
    expect(await proof(lab)).toEqual({ jobs: 1, killed: expect.any(Number), left: 0 })
  })

  it("ends a provision before Packer starts", async ({ lab }) => {
    lab.hold("packer validate begins")
    const create = lab.create("demo")
    await lab.held("packer validate begins")
    await cancelled(lab)
    await expectCancelled(lab, create)
    expect(lab.calls("packer", "validate").filter(({ pid }) => lives(pid))).toEqual([])
    expect(lab.calls("packer", "build")).toEqual([])
  })

  it("ends a provision while the image is converted", async ({ lab }) => {
    lab.hold("qemu-img convert begins")
    const create = lab.create("demo", "-i", "format=qcow2")
    await lab.held("qemu-img convert begins")
    await cancelled(lab)
    await expectCancelled(lab, create)
    expect(lab.calls("qemu-img", "convert").filter(({ pid }) => lives(pid))).toEqual([])
  })

  it("ends a build that has no supervisor", async ({ lab }) => {
    const create = await building(lab)
    lab.signal(create.pid, "SIGSTOP")
    await lab.crash(await lab.supervisor())
    await cancelled(lab)
    lab.signal(create.pid, "SIGCONT")
    await expectCancelled(lab, create)
  })

  it("succeeds if the supervisor dies during the cancel", async ({ lab }) => {
    const create = await building(lab)
    lab.hold("Deleting output directory")
    const cancel = cancelled(lab)
    await lab.held("Deleting output directory")
    await lab.crash(await lab.supervisor())
    lab.release("Deleting output directory")
    await cancel
    await expectCancelled(lab, create)
  })

  it("of a sandbox that has ended is refused", async ({ lab }) => {
    await lab.created("demo")
    const { exitCode, stderr } = await lab.run(["cancel", "demo"])
    expect(exitCode).toBe(13)
    expect(stderr).toMatch(/^error: .*ready\nhint: .*destroy demo/)
    expect((await lab.show("demo")).state).toBe("ready")
  })
})

describe.concurrent("signals", () => {
  it.for(["SIGINT", "SIGTERM"] as const)(
    "%s to create cancels the sandbox and waits",
    async (signal, { lab }) => {
      const create = await building(lab)
      lab.hold("Deleting output directory")
      lab.signal(create.pid, signal)
      await lab.held("Deleting output directory")
      // A second one changes nothing: it waits for the proof.
      lab.signal(create.pid, signal)
      await create.printed("still waiting for demo to end")
      lab.release("Deleting output directory")
      await expectCancelled(lab, create)
    }
  )

  it.for([
    ["ready", 0],
    ["failed", 10],
    ["cancelled", 130]
  ] as const)(
    "after the end change nothing: create of a sandbox that is %s exits with %i",
    async ([state, code], { lab }) => {
      if (state === "failed") lab.speak({ version: "1.6.6", says: { build: { text: "no", exitCode: 1 } } })
      if (state === "cancelled") lab.hold(place)
      const create = lab.create("demo")
      if (state === "cancelled") {
        await lab.held(place)
        lab.signal(create.pid, "SIGINT")
      }
      await create.printed('"apiVersion"')
      // As fast as one can: until its very end.
      while (lives(create.pid)) {
        lab.signal(create.pid, "SIGINT")
        await new Promise(setImmediate)
      }
      const { exitCode, sandbox } = await create.outcome()
      expect({ exitCode, signal: (await create.ended).signal }).toEqual({ exitCode: code, signal: null })
      expect(sandbox.state).toBe(state)
    }
  )

  it("SIGHUP to create ends only the view", async ({ lab }) => {
    const create = await building(lab)
    lab.signal(create.pid, "SIGHUP")
    expect(await create.ended).toMatchObject({ signal: "SIGHUP" })
    lab.release(place)
    expect(await lab.json("wait", "demo")).toMatchObject({
      state: "ready",
      artifacts: [{ name: "demo.raw" }]
    })
  })

  it("closing the terminal ends only the view, even if the command ignores SIGHUP", async ({ lab }) => {
    lab.hold(place)
    const words = ["create", "--profile", "profile.tiny", "-i", "vm_name=demo"]
    const create = lab.startOnTerminal(words)
    await lab.held(place)
    // One in a session of its own gets no SIGHUP: it has nowhere to write to, and nothing to read from.
    const terminals = [create, lab.startOnTerminal(["watch", "demo"], {}, ["setsid", "-w"])]
    const view = async (verb: string) => (await waitFor(verb, () => lab.commands(` ${verb} `)[0])).pid
    const views = [await view("create"), await view("watch")]
    await terminals[0]?.printed("Ctrl-C cancels")
    await terminals[1]?.printed("Ctrl-C leaves it")
    for (const { pid } of terminals) lab.signal(pid, "SIGKILL")
    await waitFor("the end of the views", () => !views.some(lives))
    const supervisor = await lab.supervisor()
    lab.release(place)
    expect(await lab.json("wait", "demo")).toMatchObject({
      state: "ready",
      artifacts: [{ name: "demo.raw" }]
    })
    const types = (await lab.events("demo")).map(({ type }) => type)
    expect(types).not.toContain("cancelling")
    expect(types).not.toContain("taken-over")
    await waitFor("the end of the supervisor", () => !lives(supervisor))
  })

  it("SIGINT to watch does not affect the build", async ({ lab }) => {
    const create = await building(lab)
    const watch = lab.start(["watch", "demo"])
    await watch.printed("== connect")
    lab.signal(watch.pid, "SIGINT")
    expect((await watch.ended).exitCode).toBe(130)
    lab.release(place)
    expect((await create.outcome()).exitCode).toBe(0)
  })
})

describe("a timeout", () => {
  it("ends a build that hangs", async ({ lab }) => {
    lab.hold(place)
    const { exitCode, sandbox, stderr } = await lab.create("demo", "--timeout", "3s").outcome()
    expect(exitCode, stderr).toBe(11)
    expect(sandbox).toMatchObject({ state: "failed", failure: { reason: "timed-out" } })
    lab.expectNothingLeft(sandbox.id)
  })
})

/** Supervisors die of kill -9, and the next one continues. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { beforeAll, describe, expect } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { it, Lab, type SandboxJson } from "./harness.js"

const options = ["-i", "format=qcow2"]

/** A line of the guest's that comes in pieces, and whole ones around it. */
const withGuest = (lab: Lab) =>
  lab.guestPrints(
    `first\n1,,ui,message,    qemu: ${"a line without an end, ".repeat(5000)}`,
    `${"and it goes on, ".repeat(5000)}\n1,,ui,message,    qemu: last\n`
  )

/** All that can be seen of a sandbox: the same whether it went undisturbed or not. */
const seen = async (lab: Lab, sandbox: SandboxJson) => {
  const told = (text: string) => text.replaceAll(sandbox.id, "ID").replaceAll(lab.folder, "LAB")
  const events = await lab.events(sandbox.id)
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
  return {
    takenOver: events.filter(({ type }) => type === "taken-over").length,
    story: {
      state: sandbox.state,
      events: events
        .filter(({ type }) => type !== "taken-over")
        .map(({ message, phase, type }) => ({ type, phase, message: told(message) })),
      log: told(lab.log(sandbox)).split("\n"),
      images: sandbox.artifacts.map(({ name, path, sha256 }) => ({
        name,
        sha256,
        content: readFileSync(path, "latin1"),
        beside: readdirSync(dirname(path)).sort()
      })),
      packer: lab.calls("packer", "build").length
    }
  }
}
type Seen = Awaited<ReturnType<typeof seen>>

describe.concurrent("kill -9", () => {
  let undisturbed: Seen["story"]
  beforeAll(async () => {
    const lab = new Lab()
    withGuest(lab)
    const { story } = await seen(lab, await lab.created("demo", ...options))
    await lab.dispose()
    expect(story).toMatchObject({
      state: "ready",
      images: [{ beside: ["demo.qcow2", "demo.qcow2.sha256"] }],
      packer: 1
    })
    undisturbed = story
  })

  it.for([
    "packer validate begins",
    "packer build begins",
    "guest 1",
    "packer build ends",
    "qemu-img info begins",
    "qemu-img convert begins"
  ])("of create and the supervisor at any time leaves a build that continues: %s", async (place, { lab }) => {
    withGuest(lab)
    lab.hold(place)
    const create = lab.create("demo", ...options)
    await lab.held(place)
    await lab.crash(create.pid)
    await lab.crash(await lab.supervisor())
    lab.release(place)
    const sandbox = await lab.json<SandboxJson>("wait", "demo")
    expect(await seen(lab, sandbox)).toEqual({ story: undisturbed, takenOver: 1 })
  })

  it("of several supervisors in a row: create follows to the end", async ({ lab }) => {
    withGuest(lab)
    const places = ["packer build begins", "guest 1", "qemu-img convert begins"]
    for (const place of places) lab.hold(place)
    const create = lab.create("demo", ...options)
    for (const place of places) {
      await lab.held(place)
      await lab.crash(await lab.supervisor())
      lab.release(place)
    }
    const { exitCode, sandbox, stderr } = await create.outcome()
    expect(exitCode, stderr).toBe(0)
    const { story, takenOver } = await seen(lab, sandbox)
    expect(story).toEqual(undisturbed)
    expect(takenOver).toBeGreaterThan(0)
  })

  it("of the supervisor right after it published the image keeps that image", async ({ lab }) => {
    withGuest(lab)
    lab.hold("qemu-img convert begins")
    const create = lab.create("demo", ...options)
    await lab.held("qemu-img convert begins")
    const supervisor = await lab.supervisor()
    const { id } = await lab.show("demo")
    lab.release("qemu-img convert begins")
    await waitFor("an image", () => existsSync(join(lab.artifacts, "demo", id, "demo.qcow2")))
    await lab.crash(supervisor)
    const { exitCode, sandbox, stderr } = await create.outcome()
    expect(exitCode, stderr).toBe(0)
    expect((await seen(lab, sandbox)).story).toEqual(undisturbed)
  })

  it("of the supervisor: of two that start at once, one takes over", async ({ lab }) => {
    withGuest(lab)
    lab.hold("packer version begins")
    const { id } = await lab.json<SandboxJson>(
      ...["create", "--profile", "profile.tiny", "-i", "vm_name=demo", "--detach", ...options]
    )
    await lab.held("packer version begins")
    await lab.crash(await lab.supervisor())
    lab.release("packer version begins")
    const supervisors = [lab.run(["supervise", id]), lab.run(["supervise", id])]
    for (const { exitCode, stderr } of await Promise.all(supervisors)) {
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" })
    }
    expect(await seen(lab, await lab.show(id))).toEqual({ story: undisturbed, takenOver: 1 })
  })
})

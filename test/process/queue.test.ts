/** Provisions that want the same wait for each other, across processes. */
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import Database from "better-sqlite3"
import { waitFor } from "../support/patience.js"
import { it, type Lab, type SandboxJson } from "./harness.js"

const slots = (lab: Lab, count: number) =>
  lab.write(".config/sandboxer/config.yaml", { hosts: { local: { slots: count } } })

const detached = (lab: Lab, name: string, ...args: ReadonlyArray<string>) =>
  lab.json<SandboxJson>(
    ...["create", "--profile", "profile.tiny", "-i", `vm_name=${name}`, "--detach", ...args]
  )

/** Who claims something, in the order of their tickets. */
const claims = (lab: Lab, resource: string): ReadonlyArray<string> => {
  const database = new Database(join(lab.home, "sandboxer.db"), { readonly: true })
  try {
    return database
      .prepare<[string], string>("SELECT sandbox_id FROM claims WHERE resource LIKE ? ORDER BY ticket")
      .pluck()
      .all(resource)
  } finally {
    database.close()
  }
}

/** A first build that is held in the middle, and one that has to wait for it. */
const two = async (lab: Lab, ...args: ReadonlyArray<string>) => {
  lab.hold("packer build begins")
  const first = await detached(lab, "demo")
  await lab.held("packer build begins")
  const second = lab.create("demo", ...args)
  await waitFor("a second claim", () => claims(lab, "vm_name/demo").length === 2)
  return { first, second }
}

const expectQuiet = async (lab: Lab) => {
  await lab.quiet()
  expect(claims(lab, "%")).toEqual([])
}

describe.concurrent("two builds with one vm_name", () => {
  it("run one after the other", async ({ lab }) => {
    const { first, second } = await two(lab)
    await second.printed(`-- queue: 2nd for the name demo, after demo (${first.id})`)
    expect((await lab.run(["show", "demo-2"])).stdout).toContain("queue: 2nd for the name demo, after demo")
    expect(lab.calls("packer", "build")).toHaveLength(1)
    lab.release("packer build begins")
    const { exitCode, stderr } = await second.outcome()
    expect(exitCode, stderr).toBe(0)
    expect((await lab.show("demo")).state).toBe("ready")
    await expectQuiet(lab)
  })

  it("run one after the other, even if the first one's supervisor is killed", async ({ lab }) => {
    const { second } = await two(lab)
    await second.printed("-- queue: 2nd")
    const database = new Database(join(lab.home, "sandboxer.db"), { readonly: true })
    const holder = database
      .prepare<[], string>("SELECT holder FROM leases JOIN sandboxes ON id = sandbox_id WHERE name = 'demo'")
      .pluck()
      .get()
    database.close()
    const { pid } = JSON.parse(holder ?? "") as { readonly pid: number }
    await lab.crash(pid)
    lab.release("packer build begins")
    const { exitCode, stderr } = await second.outcome()
    expect(exitCode, stderr).toBe(0)
    // The waiting supervisor restarted it: nothing else followed it.
    const types = (await lab.events("demo")).map(({ type }) => type)
    expect(types).toContain("taken-over")
    expect(types.at(-1)).toBe("ready")
    await expectQuiet(lab)
  })

  it("do not wait longer than --lock-timeout", async ({ lab }) => {
    const { first, second } = await two(lab, "--lock-timeout", "1s")
    const { exitCode, sandbox, stderr } = await second.outcome()
    expect({ exitCode, reason: sandbox.failure?.reason }).toEqual({ exitCode: 13, reason: "locked" })
    expect(stderr).toContain(`the name demo was not free within 1 s: demo (${first.id}) holds it`)
    lab.release("packer build begins")
    await lab.json("wait", "demo")
    await expectQuiet(lab)
  })

  it("the waiting one ends at once when it is cancelled", async ({ lab }) => {
    const { second } = await two(lab)
    await second.printed("-- queue: 2nd")
    expect((await lab.run(["cancel", "demo-2"])).exitCode).toBe(0)
    expect((await second.outcome()).exitCode).toBe(130)
    lab.release("packer build begins")
    expect((await lab.json<SandboxJson>("wait", "demo")).state).toBe("ready")
    await expectQuiet(lab)
  })
})

describe("a template that declares no output_directory", () => {
  it("is built by one sandbox at a time", async ({ lab }) => {
    lab.write("template/tiny.json", { variables: { vm_name: "tiny" } })
    lab.hold("packer build begins")
    await detached(lab, "one")
    await lab.held("packer build begins")
    const second = lab.create("two")
    await second.printed(`-- queue: 2nd for the template's folder ${join(lab.folder, "template")}, after one`)
    expect(lab.calls("packer", "build")).toHaveLength(1)
    lab.release("packer build begins")
    expect((await lab.json<SandboxJson>("wait", "one")).state).toBe("ready")
    await second.ended
    expect(lab.calls("packer", "build")).toHaveLength(2)
    await expectQuiet(lab)
  })
})

describe("a host with slots", () => {
  it("fails as host-full if all slots stay taken", async ({ lab }) => {
    slots(lab, 1)
    lab.hold("packer build begins")
    const first = await detached(lab, "one")
    await lab.held("packer build begins")
    const { exitCode, sandbox, stderr } = await lab.create("two", "--lock-timeout", "1s").outcome()
    expect({ exitCode, reason: sandbox.failure?.reason }).toEqual({ exitCode: 12, reason: "host-full" })
    expect(stderr).toContain(`a slot on local was not free within 1 s: one (${first.id}) holds it`)
    lab.release("packer build begins")
    await lab.json("wait", "one")
    await expectQuiet(lab)
  })
})

/** What was interrupted or failed is built once more, by the command; what is past its time ends. */
import { existsSync } from "node:fs"
import { describe, expect } from "@effect/vitest"
import { it, type SandboxJson } from "./harness.js"

describe.concurrent("retry", () => {
  it("builds again after the command, the supervisor and the build were all killed", async ({ lab }) => {
    lab.profile({ inputs: { token: { type: "secret", variable: true, required: true } } })
    lab.write("template/tiny.json", {
      variables: { output_directory: "output-tiny", vm_name: "tiny", token: "" }
    })
    const token = { TOKEN: "correct-horse-battery" }
    lab.hold("packer build begins")
    const create = lab.creating(token, "-i", "vm_name=demo", "-i", "token=env:TOKEN")
    await lab.held("packer build begins")
    await lab.crash(create.pid)
    await lab.crash(await lab.supervisor())
    await lab.crashJobs()
    const waited = await lab.run(["wait", "demo", "-o", "json"])
    const failed = JSON.parse(waited.stdout) as SandboxJson
    expect(waited.exitCode).toBe(10)
    expect(failed.failure).toMatchObject({
      reason: "interrupted",
      hint: expect.stringContaining("build it again: `sandboxer retry demo`")
    })
    lab.expectNothingLeft(failed.id)

    const lacking = await lab.run(["retry", "demo"])
    expect(lacking.exitCode, lacking.stderr).toBe(2)
    expect(lacking.stderr).toContain("the environment has no TOKEN")
    const { exitCode, stderr, stdout } = await lab.start(["retry", "demo", "-o", "json"], token).ended
    expect(exitCode, stderr).toBe(0)
    const made = JSON.parse(stdout) as SandboxJson
    expect(made).toMatchObject({ id: failed.id, state: "ready", attempt: 2, failure: null })
    expect(made.artifacts).toHaveLength(1)
    expect(lab.calls("packer", "build")).toHaveLength(2)
    const events = await lab.events("demo")
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(events.filter(({ type }) => type === "requested")).toHaveLength(2)
    const again = await lab.run(["retry", "demo"])
    expect(again.exitCode).toBe(13)
    expect(again.stderr).toContain("demo is ready")
  })

  it("happens automatically for the failure reasons that the profile names", async ({ lab }) => {
    lab.speak({ version: "1.6.6", replays: { build: "qemu-provisioner-fails" } })
    lab.profile({ retry: { times: 1, on: ["provisioner-failed"], backoff: "100 ms" } })
    const { exitCode, sandbox, stderr } = await lab.create("demo").outcome()
    expect(exitCode).toBe(10)
    expect(stderr).toContain("-- attempt 1 failed (provisioner-failed:")
    expect(sandbox).toMatchObject({ state: "failed", attempt: 2 })
    expect(lab.calls("packer", "build")).toHaveLength(2)
    lab.expectNothingLeft(sandbox.id)
  })

  it("is refused if another sandbox has the name by now", async ({ lab }) => {
    lab.profile({ inputs: { token: { type: "secret", variable: true } } })
    lab.write("template/tiny.json", {
      variables: { output_directory: "output-tiny", vm_name: "tiny", token: "" }
    })
    const token = { TOKEN: "correct-horse-battery" }
    lab.speak({ version: "1.6.6", replays: { build: "qemu-provisioner-fails" } })
    const failed = await lab.creating(token, "-i", "vm_name=demo", "-i", "token=env:TOKEN").outcome()
    lab.speak({ version: "1.6.6" })
    await lab.created("demo")
    const { exitCode, stderr } = await lab.start(["retry", failed.sandbox.id], token).ended
    expect(exitCode).toBe(13)
    expect(stderr).toContain("the name demo is taken")
    // The secret was read, and is not kept for what never began.
    lab.expectNothingLeft(failed.sandbox.id)
  })
})

describe.concurrent("time limits", () => {
  it("reap removes a sandbox that is past its TTL and keeps the image; renew extends it", async ({ lab }) => {
    const made = await lab.created("demo", "--ttl", "0 s")
    await lab.created("other", "--ttl", "0 s")
    expect((await lab.json<SandboxJson>("renew", "other", "--ttl", "1 hour")).ttlSeconds).toBe(3600)
    const planned = await lab.json<{ items: ReadonlyArray<{ name: string; action: string }> }>(
      "reap",
      "--dry-run"
    )
    expect(planned.items.map(({ action, name }) => [action, name])).toEqual([["destroy", "demo"]])
    expect((await lab.show("demo")).state).toBe("ready")
    await lab.json("reap")
    expect((await lab.show(made.id)).state).toBe("destroyed")
    expect((await lab.show("other")).state).toBe("ready")
    expect(existsSync(made.artifacts[0]?.path ?? "")).toBe(true)
    const renewed = await lab.run(["renew", made.id, "--ttl", "1 hour"])
    expect(renewed.exitCode).toBe(13)
  })

  it("a phase that exceeds the profile's limit fails the build as timed-out", async ({ lab }) => {
    lab.profile({ timeouts: { provision: "1 s" } })
    lab.hold("Provisioning with")
    const { exitCode, sandbox } = await lab.create("demo").outcome()
    expect(exitCode).toBe(11)
    expect(sandbox.failure).toMatchObject({
      reason: "timed-out",
      message: "phase provision took longer than 1 s"
    })
    lab.expectNothingLeft(sandbox.id)
  })
})

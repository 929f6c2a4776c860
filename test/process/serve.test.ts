/** What looks after a state directory, without anybody who follows anything. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { it, type Lab, type SandboxJson } from "./harness.js"
import { lives } from "./until.js"

const place = "Provisioning with"

/** A build that stands in the middle, with a supervisor and nobody else. */
const detached = async (lab: Lab) => {
  lab.hold(place)
  await lab.run(["create", "--profile", "profile.tiny", "-i", "vm_name=demo", "--detach"])
  await lab.held(place)
}

/** Only looks: `wait` would start a supervisor. */
const reaches = (lab: Lab, state: string): Promise<SandboxJson> =>
  waitFor(`the state ${state}`, async () => {
    const sandbox = await lab.show("demo")
    return sandbox.state === state && sandbox
  })

const serving = async (lab: Lab) => {
  const serve = lab.start(["serve"])
  await serve.printed(`serving ${lab.home}`)
  return serve
}

describe.concurrent("serve", () => {
  it("restarts a dead supervisor of a build that nobody follows", async ({ lab }) => {
    await detached(lab)
    const { id } = await lab.show("demo")
    await lab.crash(await lab.supervisor())
    const serve = await serving(lab)
    await serve.printed(`${id}: nobody carried it through: a supervisor was started`)
    lab.release(place)
    expect((await reaches(lab, "ready")).artifacts).toHaveLength(1)
    lab.signal(serve.pid, "SIGTERM")
    expect((await serve.ended).exitCode).toBe(0)
  })

  it.for(["SIGTERM", "SIGINT"] as const)(
    "exits cleanly on %s and leaves builds running",
    async (signal, { lab }) => {
      await detached(lab)
      await lab.crash(await lab.supervisor())
      const serve = await serving(lab)
      await serve.printed("a supervisor was started")
      const supervisor = await lab.supervisor()
      lab.signal(serve.pid, signal)
      const { exitCode, stderr, stdout } = await serve.ended
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" })
      expect(stderr).toMatch(/no longer served; what is being provisioned goes on\n$/)
      expect(lives(supervisor)).toBe(true)
      lab.release(place)
      await reaches(lab, "ready")
    }
  )

  it("removes ready sandboxes past their TTL and forgets dead ones", async ({ lab }) => {
    const image = (await lab.created("demo", "--ttl", "1s")).artifacts[0]
    const { id } = await lab.show("demo")
    const serve = await serving(lab)
    await serve.printed(`${id}: its time is over: destroyed`)
    expect(await lab.show(id)).toMatchObject({ state: "destroyed" })
    expect(fs.existsSync(image?.path ?? "")).toBe(true)
    expect((await lab.events(id)).map(({ type }) => type).slice(-2)).toEqual(["expired", "destroyed"])

    lab.speak({ version: "1.6.6", replays: { build: "qemu-provisioner-fails" } })
    const failed = await lab.create("other", "--ttl", "1s").outcome()
    expect(failed.sandbox.state).toBe("failed")
    await serve.printed(`${failed.sandbox.id}: its time is over: forgotten, and its logs`)
    expect((await lab.run(["show", failed.sandbox.id])).exitCode).toBe(3)
    lab.signal(serve.pid, "SIGTERM")
    expect((await serve.ended).exitCode).toBe(0)
  })

  it("runs once for a state directory, until its process is gone", async ({ lab }) => {
    const serve = await serving(lab)
    const second = await lab.run(["serve"])
    expect(second.exitCode, second.stderr).toBe(13)
    expect(second.stderr).toContain(`error: process ${serve.pid} serves ${lab.home} already\nhint: `)
    await lab.crash(serve.pid)
    const third = await serving(lab)
    // Of several that find a dead one, one is left.
    await lab.crash(third.pid)
    const more = [1, 2, 3].map(() => lab.start(["serve"]))
    const ended = await Promise.race([
      Promise.all(more.map(({ printed }) => printed(`serving ${lab.home}`))).then(() => "all serve"),
      Promise.any(
        [0, 1, 2].map((out) => Promise.all(more.filter((_, n) => n !== out).map((one) => one.ended)))
      )
    ])
    expect(ended).toMatchObject([{ exitCode: 13 }, { exitCode: 13 }])
    expect(lab.files(join(lab.home, "serve"))).toEqual(["/3"])
  })
})

const documented = (name: string): string => {
  const text = fs.readFileSync(fileURLToPath(new URL("../../docs/serve.md", import.meta.url)), "utf8")
  const unit = new RegExp(`\`\`\`ini\n# [^\n]*/${name}\n(.*?)\`\`\``, "s").exec(text)?.[1]
  if (unit === undefined) throw new Error(`docs/serve.md has no ${name}`)
  return unit
}

const analyzer = ["/usr/bin/systemd-analyze", "/bin/systemd-analyze"].find((file) => fs.existsSync(file))

// Debian's container images have no systemd.
describe.skipIf(analyzer === undefined)("the systemd units of docs/serve.md", () => {
  const names = ["sandboxer.service", "sandboxer-reap.service", "sandboxer-reap.timer"]
  it.for(names)("%s contains nothing that systemd does not know", (name, { lab }) => {
    lab.script("bin/sandboxer", "exit 0")
    // A unit names its neighbours.
    for (const one of names) {
      lab.write(`units/${one}`, documented(one).replaceAll("%h/.local/bin", `${lab.folder}/bin`))
    }
    const { status, stderr } = spawnSync(
      analyzer!,
      ["verify", "--user", "--man=no", join(lab.folder, "units", name)],
      {
        encoding: "utf8",
        env: { ...lab.env, XDG_RUNTIME_DIR: lab.folder, SYSTEMD_UNIT_PATH: `${join(lab.folder, "units")}:` }
      }
    )
    // What it does not know it only tells of.
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
  })
})

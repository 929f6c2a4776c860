/** Real Packer and QEMU, made to fail: each failure is told apart, and names its page. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { timeLimit, waitFor } from "../support/patience.js"
import { makeWorkbench, run, sandboxOf, start, type Workbench } from "./harness.js"

let bench: Workbench
beforeAll(async () => {
  bench = makeWorkbench()
  mkdirSync(bench.home, { mode: 0o700 })
  // A disk that has nothing to boot from: QEMU runs, and the guest says nothing.
  const made = await run("qemu-img", [
    "create",
    "-q",
    "-f",
    "qcow2",
    join(bench.folder, "empty.qcow2"),
    "16M"
  ])
  expect(made.exitCode, made.stderr).toBe(0)
})
afterAll(() => bench.remove())

const qemu = {
  type: "qemu",
  iso_url: "empty.qcow2",
  iso_checksum: "none",
  disk_image: true,
  disk_size: "16M",
  memory: 64,
  headless: true,
  accelerator: "tcg",
  boot_wait: "1s",
  ssh_username: "nobody",
  ssh_password: "none",
  ssh_timeout: "600s",
  output_directory: "{{user `output_directory`}}",
  vm_name: "{{user `vm_name`}}"
}

/** Writes a template, and gives the command that builds from it. */
const create = (name: string, builder: object, more: object = {}): ReadonlyArray<string> => {
  const template = join(bench.folder, `${name}.json`)
  const variables = { output_directory: "out", vm_name: "vm" }
  writeFileSync(template, JSON.stringify({ variables, builders: [{ ...qemu, ...builder }], ...more }))
  return [
    ...["create", "--profile", "profile.vm-packer-build", "-o", "json", "-i", `vm_name=${name}`],
    ...["-i", `packer_template=${template}`, "-i", "format=as-built"]
  ]
}

/** How a build from such a template fails. */
const failureOf = async (name: string, builder: object, more?: object) => {
  const ended = await bench.sandboxer(create(name, builder, more))
  const { failure } = sandboxOf(ended)
  expect(ended.stderr).toContain(`runbooks/failures/${failure?.reason}.md`)
  expect(failure?.runbook).toBe(`runbooks/failures/${failure?.reason}.md`)
  expect(bench.jobProcesses()).toEqual([])
  return {
    exitCode: ended.exitCode,
    reason: failure?.reason,
    message: failure?.message,
    logTail: failure?.logTail
  }
}

describe("real Packer: a build fails as", () => {
  it("checksum-mismatch", async () => {
    const wrong = `sha256:${"0".repeat(64)}`
    expect(await failureOf("sum", { iso_checksum: wrong })).toMatchObject({
      exitCode: 10,
      reason: "checksum-mismatch",
      message: expect.stringContaining("empty.qcow2 has the checksum ")
    })
  })

  it("download-failed", async () => {
    expect(await failureOf("away", { iso_url: "http://127.0.0.1:1/disk.img" })).toMatchObject({
      exitCode: 10,
      reason: "download-failed",
      message: expect.stringContaining("connection refused")
    })
  })

  it("port-taken, although Packer would retry for ever", async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await waitFor("the port", () => server.listening)
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    expect(await failureOf("port", { host_port_min: port, host_port_max: port })).toMatchObject({
      exitCode: 13,
      reason: "port-taken",
      message: `Packer waits for port ${port}, which another program uses`
    })
    server.close()
  })

  it("connect-timeout, and as boot-failed if a boot command was typed", async () => {
    // One after the other: each looks that it left no process behind.
    const late = await failureOf("late", { ssh_timeout: "5s" })
    const typed = await failureOf("typed", { ssh_timeout: "5s", boot_command: ["a<enter>"] })
    expect(late).toMatchObject({ exitCode: 10, reason: "connect-timeout" })
    expect(typed).toMatchObject({ exitCode: 10, reason: "boot-failed" })
  })

  it("provisioner-failed, with the provisioner, its exit code and its last lines", async () => {
    const provisioners = [{ type: "shell-local", inline: ["echo the last word; exit 7"] }]
    const builder = { type: "null", communicator: "none" }
    const template = join(bench.folder, "script.json")
    writeFileSync(template, JSON.stringify({ builders: [builder], provisioners }))
    const { exitCode, reason, message, logTail } = await bench
      .sandboxer([
        ...["create", "--profile", "profile.vm-packer-build", "-o", "json", "-i", "vm_name=script"],
        ...["-i", `packer_template=${template}`, "-i", "format=as-built"]
      ])
      .then((ended) => ({ exitCode: ended.exitCode, ...sandboxOf(ended).failure }))
    expect({ exitCode, reason }).toEqual({ exitCode: 10, reason: "provisioner-failed" })
    expect(message).toContain("ended with exit code 7")
    expect(logTail?.at(-1)).toContain("the last word")
  })

  it("build-failed with QEMU's own words, if QEMU does not start", async () => {
    expect(await failureOf("args", { qemuargs: [["-nosuch"]] })).toMatchObject({
      exitCode: 10,
      reason: "build-failed",
      message: "qemu: QEMU did not start: -nosuch: invalid option"
    })
  })

  it("kvm-unusable, if /dev/kvm does not work", async ({ skip }) => {
    const hidden = ["--mount", "sh", "-c", 'mount --bind /dev/null /dev/kvm && exec "$@"', "sh"]
    const can = await run("unshare", [...hidden, "true"])
    skip(can.exitCode !== 0, "only root may hide /dev/kvm, where there is one")
    const command = [process.execPath, join(import.meta.dirname, "../../dist/bin.js")]
    const ended = await start("unshare", [...hidden, ...command, ...create("kvm", { accelerator: "kvm" })], {
      env: { SANDBOXER_HOME: bench.home }
    }).ended
    expect(ended.exitCode, ended.stderr).toBe(15)
    expect(sandboxOf(ended).failure).toMatchObject({
      reason: "kvm-unusable",
      message: expect.stringContaining("failed to initialize kvm")
    })
  })

  it("hypervisor-died within seconds, if QEMU is killed while Packer waits for SSH", async () => {
    const build = bench.start(create("killed", {}))
    const pid = await waitFor(
      "a machine that Packer waits for",
      async () => {
        const machine = bench.jobProcesses().find(({ command }) => command.startsWith("/usr/bin/qemu-system"))
        const phase = (await bench.show("killed").catch(() => undefined))?.phase?.name
        return phase === "connect" && machine?.pid
      },
      60_000
    )
    // By its first heartbeat the supervisor has seen the machine.
    await waitFor(
      "a heartbeat",
      async () => (await bench.events("killed")).some(({ type }) => type === "heartbeat"),
      60_000
    )
    process.kill(pid, "SIGKILL")
    const killedAt = Date.now()
    const ended = await build.ended
    expect(Date.now() - killedAt).toBeLessThan(timeLimit(40_000))
    expect(ended.exitCode, ended.stderr).toBe(10)
    expect(sandboxOf(ended).failure).toMatchObject({ reason: "hypervisor-died" })
    expect(bench.jobProcesses()).toEqual([])
  })
})

it("real Packer: a disk that was full for a moment silences Packer for ever, and the build fails as disk-full", async ({
  skip
}) => {
  const small = makeWorkbench()
  mkdirSync(small.home, { mode: 0o700 })
  const mounted = await run("mount", ["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", small.home])
  try {
    skip(mounted.exitCode !== 0, "only root may mount a small disk")
    const inline = ["for i in $(seq 40); do printf 'line %5000s\\n' $i; sleep 0.2; done"]
    writeFileSync(
      join(small.folder, "moment.json"),
      JSON.stringify({
        builders: [{ type: "null", communicator: "none" }],
        provisioners: [{ type: "shell-local", inline }]
      })
    )
    // It asks for no space beforehand.
    writeFileSync(
      join(small.folder, "moment.yaml"),
      JSON.stringify({ id: "profile.moment", extension: "ext.vm-packer", mode: "build" })
    )
    const build = small.start([
      ...["create", "--profiles", small.folder, "--profile", "profile.moment", "-o", "json"],
      ...["-i", `packer_template=${join(small.folder, "moment.json")}`, "-i", "vm_name=moment"]
    ])
    await waitFor(
      "line 5",
      async () => /line +5\n/.test((await small.sandboxer(["logs", "moment"])).stdout),
      60_000
    )
    // It would end the build itself, as it cannot write down what it sees: it is to see nothing of it.
    const [supervisor] = small.supervisors()
    process.kill(supervisor!.pid, "SIGSTOP")
    const raw = join(small.home, "jobs", (await small.show("moment")).id, "1/build/raw.log")
    const filler = join(small.home, "filler")
    expect(() => {
      for (;;) writeFileSync(filler, Buffer.alloc(4096), { flag: "a" })
    }).toThrow("ENOSPC")
    await waitFor("a line that breaks off", () => readFileSync(raw, "latin1").at(-1) !== "\n")
    rmSync(filler)
    process.kill(supervisor!.pid, "SIGCONT")
    const ended = await build.ended
    expect(ended.exitCode, ended.stderr).toBe(10)
    expect(sandboxOf(ended).failure).toMatchObject({
      reason: "disk-full",
      message: expect.stringContaining("Packer's output breaks off within a line")
    })
    expect(small.jobProcesses()).toEqual([])
  } finally {
    if (mounted.exitCode === 0) await run("umount", ["--lazy", small.home])
    small.remove()
  }
})

/** What Packer does not notice, or cannot tell: a machine that died, a disk that is full. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync, statfsSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import BetterSqlite3 from "better-sqlite3"
import { timeLimit, waitFor } from "../support/patience.js"
import { it, type Lab, output, type SandboxJson } from "./harness.js"

/** A stand-in whose machine's program is called as QEMU is. */
const withMachine = (lab: Lab) => {
  symlinkSync(output("sh", ["-c", "command -v sleep"]).trim(), join(lab.folder, "bin/qemu-system-x86_64"))
  lab.speak({ version: "1.6.6", machine: "qemu-system-x86_64" })
}

/** Waits until the supervisor has seen the machine, which is journaled. */
const seen = (lab: Lab) =>
  waitFor("the machine to be seen", () => {
    const database = new BetterSqlite3(join(lab.home, "sandboxer.db"), { readonly: true })
    const steps = database.prepare("SELECT 1 FROM steps WHERE key = 'machine-seen'").all()
    database.close()
    return steps.length > 0
  })

describe.concurrent("a virtual machine that dies while Packer waits for SSH", () => {
  it("is noticed within seconds, Packer is stopped, and nothing is left", async ({ lab }) => {
    withMachine(lab)
    lab.hold("Waiting for SSH")
    const creating = lab.create("demo")
    await lab.held("Waiting for SSH")
    const machine = lab.calls("packer", "machine")[0]!
    await seen(lab)
    const killedAt = Date.now()
    await lab.crash(machine.pid)
    const { exitCode, sandbox, stderr } = await creating.outcome()
    expect(exitCode, stderr).toBe(10)
    expect(sandbox.failure).toMatchObject({
      reason: "hypervisor-died",
      message: "qemu: the virtual machine ended while Packer was still in phase connect",
      runbook: "runbooks/failures/hypervisor-died.md"
    })
    expect(Date.now() - killedAt).toBeLessThan(timeLimit(40_000))
    expect(lab.log(sandbox)).toContain("Cancelling build after receiving terminated")
    lab.expectNothingLeft(sandbox.id)
  })

  it("is noticed by a supervisor that never saw it alive", async ({ lab }) => {
    withMachine(lab)
    lab.hold("Waiting for SSH")
    const creating = lab.create("demo")
    await lab.held("Waiting for SSH")
    await seen(lab)
    await lab.crash(await lab.supervisor())
    await lab.crash(lab.calls("packer", "machine")[0]!.pid)
    const { sandbox, stderr } = await creating.outcome()
    expect(sandbox.failure, stderr).toMatchObject({ reason: "hypervisor-died" })
    lab.expectNothingLeft(sandbox.id)
  })
})

/** Puts the lab's state on a disk of its own, of so many MiB; false where that is not allowed here. */
const onSmallDisk = (lab: Lab, size: number): boolean => {
  mkdirSync(lab.home, { recursive: true, mode: 0o700 })
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}m,mode=700`, "tmpfs", lab.home], {
      stdio: "ignore"
    })
    return true
  } catch {
    return false
  }
}

/** Whether its database is whole, as SQLite sees it. */
const integrity = (lab: Lab) => {
  const database = new BetterSqlite3(join(lab.home, "sandboxer.db"), { readonly: true })
  const found = database.pragma("integrity_check", { simple: true })
  database.close()
  return found
}

const free = (lab: Lab) => {
  const { bavail, bsize } = statfsSync(lab.home)
  return bavail * bsize
}

describe("a full disk", () => {
  it("that the build caused fails it cleanly with a message that names the disk", async ({ lab, skip }) => {
    skip(!onSmallDisk(lab, 24), "only root may mount a small disk")
    try {
      const before = free(lab)
      lab.speak({ version: "1.6.6", fills: true })
      const { exitCode, sandbox, stderr } = await lab.create("demo").outcome()
      expect(exitCode, stderr).toBe(10)
      expect(sandbox).toMatchObject({
        state: "failed",
        artifacts: [],
        failure: { reason: "disk-full", message: expect.stringContaining(lab.home) }
      })
      expect((await lab.events("demo")).map(({ message }) => message)).toEqual(
        expect.arrayContaining([expect.stringMatching(/^low disk: .* free for /)])
      )
      await lab.quiet()
      expect(integrity(lab)).toBe("ok")
      lab.expectNothingLeft(sandbox.id)
      expect(before - free(lab)).toBeLessThan(8 * 1024 * 1024)
      // What comes next has its space.
      lab.speak({ version: "1.6.6" })
      await lab.created("next")
    } finally {
      await lab.quiet()
      execFileSync("umount", ["-l", lab.home])
    }
  })

  it("that stays full is reported to wait, which continues after space was freed", async ({ lab, skip }) => {
    skip(!onSmallDisk(lab, 24), "only root may mount a small disk")
    const ballast = join(lab.home, "..", "home", "ballast")
    try {
      lab.hold("packer version begins")
      const { id } = await lab.json<SandboxJson>(
        ...["create", "--profile", "profile.tiny", "-i", "vm_name=demo", "--detach"]
      )
      await lab.held("packer version begins")
      await lab.crash(await lab.supervisor())
      writeFileSync(ballast, "")
      expect(() => {
        for (;;) writeFileSync(ballast, Buffer.alloc(64 * 1024), { flag: "a" })
      }).toThrow("ENOSPC")
      const { exitCode, stderr } = await lab.run(["wait", id])
      expect(exitCode, stderr).toBe(15)
      expect(stderr).toMatch(new RegExp(`^error: the state directory ${lab.home} cannot be written: `))
      expect(stderr).toMatch(/^hint: free some space there/m)
      rmSync(ballast)
      lab.release("packer version begins")
      expect(await lab.json("wait", id)).toMatchObject({ state: "ready" })
      expect(integrity(lab)).toBe("ok")
      expect(existsSync(join(lab.home, ".space"))).toBe(false)
    } finally {
      await lab.quiet()
      execFileSync("umount", ["-l", lab.home])
    }
  })
})

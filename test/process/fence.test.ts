/**
 * A supervisor is stopped with SIGSTOP; another one takes over, which takes the first one for gone, as if it were on a
 * machine where it cannot be killed, and goes on to the end. Then the first one wakes up: nothing that it does counts.
 */
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { beforeAll, describe, expect } from "@effect/vitest"
import Database from "better-sqlite3"
import { waitFor } from "../support/patience.js"
import { Sshd } from "../support/sshd.js"
import { it, Lab, type SandboxJson } from "./harness.js"
import { lives } from "./until.js"

const options = ["-i", "format=qcow2"]

/** All that is kept, but for when and by which term it was written. */
const kept = async (lab: Lab, sandbox: SandboxJson) => {
  const told = (text: string) =>
    text
      .replaceAll(sandbox.id, "ID")
      .replaceAll(lab.folder, "LAB")
      .replace(/ID\.\d+\.log/, "ID.TERM.log")
  const events = await lab.events(sandbox.id)
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
  return {
    state: sandbox.state,
    events: events
      .filter(({ type }) => type !== "taken-over")
      .map(({ message, phase, type }) => ({ type, phase, message: told(message) })),
    log: told(lab.log(sandbox)).split("\n"),
    images: sandbox.artifacts.map(({ name, path, sha256 }) => ({
      whole: createHash("sha256").update(readFileSync(path)).digest("hex") === sha256,
      name,
      sha256,
      content: readFileSync(path, "latin1")
    })),
    files: ["artifacts", "jobs", "kept", "logs"].flatMap((name) =>
      lab.files(join(lab.home, name)).map((file) => told(`${name}${file}`))
    ),
    jobs: existsSync(join(lab.home, "jobs")) ? readdirSync(join(lab.home, "jobs")) : [],
    running: lab.jobCommands(),
    packer: lab.calls("packer", "build").length,
    converted: lab.calls("qemu-img", "convert").length
  }
}

/** Gives the lease of a supervisor away that is not dead, and does not know of it; false where it locks the database. */
const release = (lab: Lab) => {
  const database = new Database(join(lab.home, "sandboxer.db"), { timeout: 200 })
  try {
    database.prepare("UPDATE leases SET holder = 'null'").run()
    return true
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code === "SQLITE_BUSY") return false
    throw error
  } finally {
    database.close()
  }
}

/** Whether a process stands still. */
const isStopped = (pid: number) => /\) T /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))

const stop = async (lab: Lab, pid: number) => {
  lab.signal(pid, "SIGSTOP")
  await waitFor("the stop of the supervisor", () => isStopped(pid))
}

/** Stopped within a transaction it would keep all others out until it is killed: it is stopped elsewhere. */
const stopAndRelease = async (lab: Lab, pid: number) => {
  await stop(lab, pid)
  while (!release(lab)) {
    lab.signal(pid, "SIGCONT")
    await waitFor("its going on", () => !isStopped(pid))
    await stop(lab, pid)
  }
}

const goOn = async (lab: Lab, pid: number) => {
  expect(isStopped(pid)).toBe(true)
  lab.signal(pid, "SIGCONT")
  await waitFor("the end of the first supervisor", () => !lives(pid))
}

describe.concurrent("a supervisor that is stopped and continues after another one has finished changes nothing", () => {
  let undisturbed: Awaited<ReturnType<typeof kept>>
  beforeAll(async () => {
    const lab = new Lab()
    const sandbox = await lab.created("demo", ...options)
    await lab.quiet()
    undisturbed = await kept(lab, sandbox)
    await lab.dispose()
    expect(undisturbed).toMatchObject({
      state: "ready",
      packer: 1,
      converted: 1,
      jobs: [],
      running: []
    })
  })

  const create = (lab: Lab) =>
    lab.json<SandboxJson>("create", "--profile", "profile.tiny", "-i", "vm_name=demo", "--detach", ...options)

  it.for([
    "packer validate begins",
    "packer build begins",
    "Connected to SSH",
    "packer build ends",
    "qemu-img convert begins"
  ])("stopped at: %s", async (place, { lab }) => {
    lab.hold(place)
    await create(lab)
    await lab.held(place)
    const first = await lab.supervisor()
    await stopAndRelease(lab, first)
    lab.release(place)
    const sandbox = await lab.json<SandboxJson>("wait", "demo")
    await goOn(lab, first)
    await lab.quiet()
    expect(await kept(lab, sandbox)).toEqual(undisturbed)
  })

  it("stopped while it stages its images", async ({ lab }) => {
    lab.hold("qemu-img convert begins")
    const { id } = await create(lab)
    await lab.held("qemu-img convert begins")
    const first = await lab.supervisor()
    lab.release("qemu-img convert begins")
    const folder = join(lab.artifacts, "demo", id)
    await waitFor("its staging folder", () => existsSync(folder) && readdirSync(folder).length > 0)
    await stopAndRelease(lab, first)
    const sandbox = await lab.json<SandboxJson>("wait", "demo")
    await goOn(lab, first)
    await lab.quiet()
    expect(await kept(lab, sandbox)).toEqual(undisturbed)
  })

  it("stopped while it waits for a locked database", async ({ lab }) => {
    lab.hold("Connected to SSH")
    await create(lab)
    await lab.held("Connected to SSH")
    const first = await lab.supervisor()
    const database = new Database(join(lab.home, "sandboxer.db"))
    try {
      database.exec("BEGIN IMMEDIATE")
      // It beats each two seconds: in this time it comes to a write, and does not get through it.
      const before = Date.now()
      await waitFor("its next write", () => Date.now() - before > 3000)
      await stop(lab, first)
      database.prepare("UPDATE leases SET holder = 'null'").run()
      database.exec("COMMIT")
    } finally {
      database.close()
    }
    lab.release("Connected to SSH")
    const sandbox = await lab.json<SandboxJson>("wait", "demo")
    await goOn(lab, first)
    await lab.quiet()
    expect(await kept(lab, sandbox)).toEqual(undisturbed)
  })

  it("stopped while it syncs a project into a workspace that the next build uses by then", async ({
    lab
  }) => {
    // The first rsync there goes on when it is told to, if it is there still.
    lab.script(
      "there/rsync",
      'if mkdir "$HOME/once" 2>/dev/null; then echo $$ >"$HOME/pid"; until [ -e "$HOME/go" ]; do sleep 0.1; done; fi; exec /usr/bin/rsync "$@"'
    )
    const sshd = await Sshd.start({ path: `${join(lab.folder, "there")}:/usr/bin:/bin` })
    try {
      lab.write(".config/sandboxer/config.yaml", { hosts: { builder: sshd.connection } })
      lab.write("project/a.txt", "a")
      const build = (command: string, ...args: ReadonlyArray<string>) =>
        lab.json<SandboxJson>(
          ...["create", "-p", "profile.vm-packer-attach", "-i", "host=builder", "-i", "project=project"],
          ...["-i", `command=${command}`, ...args]
        )
      await build("true", "--detach")
      const pidFile = join(sshd.home, "pid")
      const pid = await waitFor(
        "rsync there",
        () => (existsSync(pidFile) && Number(readFileSync(pidFile, "utf8"))) || undefined
      )
      const first = await lab.supervisor()
      await stopAndRelease(lab, first)
      expect((await lab.json<SandboxJson>("wait", "project")).state).toBe("ready")
      const next = await build("echo object >made.o")
      const workspace = next.endpoint?.workdir ?? ""
      writeFileSync(join(sshd.home, "go"), "")
      await waitFor("the end of rsync there", () => !lives(pid))
      await goOn(lab, first)
      expect(readdirSync(workspace).sort()).toEqual([".sandboxer-workspace", "a.txt", "made.o"])
      expect(sshd.jobProcesses()).toEqual([])
      expect(readdirSync(join(sshd.home, ".sandboxer/jobs"))).toEqual([])
    } finally {
      await sshd.dispose()
    }
  })
})

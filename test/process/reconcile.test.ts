/** `doctor --fix`: what was left behind is found and mended, and nobody else's is touched. */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { describe, expect } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { it, type Lab, output, type SandboxJson } from "./harness.js"
import { lives } from "./until.js"

interface Found {
  readonly mismatch: string
  readonly what: string
  readonly outcome: string
}

const fix = async (lab: Lab, ...more: ReadonlyArray<string>) => {
  const { items } = await lab.json<{ items: ReadonlyArray<Found> }>("doctor", "--fix", ...more)
  return items
    .map(({ mismatch, outcome, what }) => [mismatch, what.replace(`${lab.home}/`, ""), outcome])
    .sort()
}

/** A process that looks like a machine, with this cookie, in a session of its own; it ends with the test. */
const machine = async (lab: Lab, cookie: string, children: Array<ChildProcess>) => {
  const program = join(lab.folder, "bin/qemu-system-x86_64")
  if (!existsSync(program)) symlinkSync(output("sh", ["-c", "command -v sleep"]).trim(), program)
  const child = spawn(program, ["600"], { env: { SANDBOXER_JOB: cookie }, detached: true, stdio: "ignore" })
  children.push(child)
  return child.pid ?? 0
}

const put = (lab: Lab, name: string) => {
  const file = join(lab.home, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, "left behind")
  return file
}

/** As if it were there for an hour. */
const age = (lab: Lab, name: string) => {
  const then = new Date(Date.now() - 3_600_000)
  for (const file of lab.files(join(lab.home, name))) utimesSync(join(lab.home, name, file), then, then)
  utimesSync(join(lab.home, name), then, then)
}

const unknown = "0123456789ab"
const young = "0123456789ac"

describe.concurrent("doctor --fix", () => {
  it("lists each mismatch, repairs it, and touches nothing that belongs to others", async ({
    lab,
    onTestFinished
  }) => {
    const children: Array<ChildProcess> = []
    onTestFinished(() => children.forEach((child) => child.kill("SIGKILL")))
    const made = await lab.created("made")
    const gone = await lab.created("gone")
    await lab.quiet()
    const image = gone.artifacts[0]!.path
    rmSync(image)
    const ours = [
      await machine(lab, join(lab.home, "jobs", unknown, "1/build"), children),
      await machine(lab, join(lab.home, "jobs", made.id, "1/build"), children)
    ]
    const theirs = [
      await machine(lab, `${lab.home}-other/jobs/${unknown}/1/build`, children),
      await machine(lab, `/elsewhere/jobs/${made.id}/1/build`, children)
    ]
    put(lab, `jobs/${made.id}/1/build/raw.log`)
    put(lab, `jobs/${unknown}/secrets.json`)
    age(lab, `jobs/${unknown}`)
    put(lab, `logs/${unknown}.1.log`)
    put(lab, `kept/${unknown}/disk`)
    put(lab, `artifacts/made/${made.id}/.staging-${made.id}.1/made`)
    put(lab, `artifacts/made/${made.id}/stranger`)
    // What `retry` puts aside lies there before the next attempt is begun.
    put(lab, `jobs/${gone.id}/secrets.2.json`)
    const foreign = [
      join(lab.home, "jobs", gone.id),
      put(lab, `jobs/${young}/secrets.json`),
      put(lab, "jobs/notes.txt"),
      put(lab, "logs/notes.log"),
      put(lab, "kept/mine"),
      put(lab, `artifacts/made/${made.id}/.staging-mine`)
    ]
    const left = [
      ["artifact-missing", image.replace(`${lab.home}/`, ""), "left"],
      ["artifact-unknown", `artifacts/made/${made.id}/.staging-mine`, "left"],
      ["artifact-unknown", `artifacts/made/${made.id}/stranger`, "left"]
    ]
    const mismatches = (outcome: string) =>
      [
        ...left,
        ["job-folder", `jobs/${made.id}`, outcome],
        ["kept", `kept/${unknown}`, outcome],
        ["log", `logs/${unknown}.1.log`, outcome],
        ["process", `jobs/${made.id}/1/build`, outcome],
        ["process", `jobs/${unknown}/1/build`, outcome],
        ["secrets", `jobs/${unknown}`, outcome],
        ["staging", `artifacts/made/${made.id}/.staging-${made.id}.1`, outcome]
      ].sort()
    expect(await fix(lab, "--dry-run")).toEqual(mismatches("would-mend"))
    expect(ours.every(lives)).toBe(true)
    expect(await fix(lab)).toEqual(mismatches("mended"))
    await waitFor("the end of what is ours", () => !ours.some(lives))
    expect(theirs.every(lives)).toBe(true)
    expect(foreign.filter((file) => !existsSync(file))).toEqual([])
    for (const name of [`jobs/${made.id}`, `jobs/${unknown}`, `logs/${unknown}.1.log`, `kept/${unknown}`]) {
      expect(existsSync(join(lab.home, name)), name).toBe(false)
    }
    expect(existsSync(made.artifacts[0]!.path)).toBe(true)
    expect(await fix(lab)).toEqual(left.sort())
    rmSync(join(lab.home, "artifacts/made", made.id, "stranger"))
  })

  it("is not needed for orphaned secrets: reap and serve remove them too", async ({ lab }) => {
    const made = await lab.created("made")
    await lab.quiet()
    const folders = [unknown, made.id].sort().map((id) => join(lab.home, "jobs", id))
    const abandon = () => {
      put(lab, `jobs/${unknown}/secrets.json`)
      put(lab, `jobs/${made.id}/secrets.2.json`)
      for (const id of [unknown, made.id]) age(lab, `jobs/${id}`)
    }
    const stay = [
      put(lab, `jobs/${young}/secrets.json`),
      put(lab, "jobs/0123456789ad/1/build/raw.log"),
      put(lab, "jobs/mine/secrets.json")
    ]
    for (const name of ["0123456789ad", "mine"]) age(lab, `jobs/${name}`)
    const there = () => folders.filter(existsSync)

    abandon()
    const lines = (verb: string) =>
      folders.map((folder) => `${verb} secrets of a provision that was never recorded: ${folder}\n`).join("")
    expect(await lab.run(["reap", "--dry-run", "-q"])).toMatchObject({
      exitCode: 0,
      stdout: "",
      stderr: lines("would remove")
    })
    expect(there()).toEqual(folders)
    expect(await lab.run(["reap", "-q"])).toMatchObject({ exitCode: 0, stdout: "", stderr: lines("removed") })
    expect(there()).toEqual([])
    expect(await lab.run(["reap", "-q"])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" })

    abandon()
    const serve = lab.start(["serve"])
    for (const folder of folders) {
      await serve.printed(`${folder}: secrets of a provision that was never recorded: removed`)
    }
    lab.signal(serve.pid, "SIGTERM")
    await serve.ended
    expect(there()).toEqual([])
    expect(stay.filter((file) => !existsSync(file))).toEqual([])
  })

  it("starts a supervisor for a provision that has none", async ({ lab }) => {
    lab.hold("packer build begins")
    const { id } = await lab.json<SandboxJson>(
      ...["create", "--profile", "profile.tiny", "-i", "vm_name=demo", "--detach"]
    )
    await lab.held("packer build begins")
    expect(await fix(lab)).toEqual([])
    await lab.crash(await lab.supervisor())
    expect(await fix(lab, "--dry-run")).toEqual([["unsupervised", id, "would-mend"]])
    expect(await fix(lab)).toEqual([["unsupervised", id, "mended"]])
    expect(await fix(lab)).toEqual([])
    lab.release("packer build begins")
    expect(await lab.json("wait", id)).toMatchObject({ state: "ready" })
    expect(lab.calls("packer", "build")).toHaveLength(1)
  })

  it("creates no state directory, and --dry-run is valid only with --fix", async ({ lab }) => {
    expect(await fix(lab)).toEqual([])
    expect(existsSync(lab.home)).toBe(false)
    expect(await lab.run(["doctor", "--dry-run"])).toMatchObject({ exitCode: 2 })
  })
})

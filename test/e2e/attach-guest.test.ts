/** Attach mode with a machine that has busybox and dropbear instead of GNU's programs and OpenSSH. */
import * as fs from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { Guest } from "./guest.js"
import { makeWorkbench, type Output, sandboxOf, type Workbench } from "./harness.js"

let bench: Workbench
let guest: Guest
beforeAll(async () => {
  bench = makeWorkbench()
  const made = await bench.sandboxer(["create", "-p", "profile.tiny-linux", "-o", "json"])
  expect(made, made.stderr).toMatchObject({ exitCode: 0 })
  guest = await Guest.boot(sandboxOf(made).artifacts[0]!.path, join(bench.folder, "guest"))
  write("config.yaml", JSON.stringify({ hosts: { guest: guest.settings } }))
  for (let file = 0; file < 200; file++) write(`project/src/${file % 10}/file ${file}`, `${file}\n`)
})
afterAll(() => {
  guest?.kill()
  bench.remove()
})

const write = (name: string, content: string) => {
  const file = join(bench.folder, name)
  fs.mkdirSync(join(file, ".."), { recursive: true })
  fs.writeFileSync(file, content)
}
const words = (...args: ReadonlyArray<string>) => ["--config", join(bench.folder, "config.yaml"), ...args]
const sandboxer = (...args: ReadonlyArray<string>) => bench.sandboxer(words(...args))
const createArgs = (name: string, ...args: ReadonlyArray<string>) =>
  words(
    ...["create", "-p", "profile.vm-packer-attach", "-i", "host=guest", "--name", name, "-o", "json"],
    ...args
  )
const create = (name: string, ...args: ReadonlyArray<string>) => bench.sandboxer(createArgs(name, ...args))
const project = () => ["-i", `project=${join(bench.folder, "project")}`]
const logOf = (output: Output) => fs.readFileSync(sandboxOf(output).logPath ?? "", "utf8")

const expectNoJobThere = async () => {
  const left =
    "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep ^SANDBOXER_JOB; ls ~/.sandboxer/jobs"
  expect((await guest.ssh(left)).stdout).toBe("")
}

describe("attach to a guest of profile.tiny-linux", () => {
  it("finds everything that a host needs", async () => {
    const checked = await sandboxer("host", "check", "guest", "-o", "json")
    expect(checked, checked.stderr).toMatchObject({ exitCode: 0 })
    expect(JSON.parse(checked.stdout).items).toContainEqual(
      expect.objectContaining({ name: "key", status: "ok", detail: expect.stringMatching(/^SHA256:/) })
    )
  })

  it("syncs a project, builds it, and collects the results", async () => {
    const into = join(bench.folder, "results")
    const command = [
      "uname -s && find src -type f | wc -l",
      "for i in 1 2 3; do echo line $i; sleep 1; done",
      "mkdir -p 'out/a b' && cat src/*/* | sha256sum >'out/a b/sum' && ln -sf 'a b/sum' out/link"
    ].join("; ")
    const args = [...project(), "-i", `command=${command}`, "-i", "collect=out", "-i", "exclude=/out"]
    const first = await create("first", ...args, "-i", "tools=busybox", "-i", `into=${into}`)
    expect(first, first.stderr).toMatchObject({ exitCode: 0 })
    expect(first.stderr).toContain("sent 200 files, deleted 0")
    expect(logOf(first)).toBe("Linux\n200\nline 1\nline 2\nline 3\n")
    expect(fs.readdirSync(join(into, "out")).sort()).toEqual(["a b", "link"])
    expect(fs.readFileSync(join(into, "out/link"), "utf8")).toMatch(/^[0-9a-f]{64} {2}-\n$/)
    const receipt = JSON.parse(fs.readFileSync(join(into, "receipt.json"), "utf8"))
    expect(receipt).toMatchObject({ exitCode: 0, files: [{ name: "out/a b/sum" }, { name: "out/link" }] })
    await expectNoJobThere()

    fs.rmSync(join(bench.folder, "project/src/0"), { recursive: true })
    const again = ["-i", "exclude=/out", "-i", "command=find src -type f | wc -l; exit 41"]
    const second = await create("second", ...project(), ...again)
    expect(second.exitCode).toBe(10)
    expect(second.stderr).toContain("sent 0 files, deleted 20")
    expect(second.stderr).toContain("ended with exit code 41")
    expect(logOf(second)).toBe("180\n")
  })

  it("names the mistake in a collect, a workdir and a missing program", async () => {
    const wrong = (...args: ReadonlyArray<string>) => create("wrong", ...project(), ...args)
    const link = await wrong("-i", "command=mkdir out; ln -s /etc/passwd out/x", "-i", "collect=out")
    expect(link).toMatchObject({
      exitCode: 10,
      stderr: expect.stringContaining("out/x is a link that leads out")
    })
    const none = await wrong("-i", "command=true", "-i", "collect=none/*")
    expect(none).toMatchObject({ exitCode: 10, stderr: expect.stringContaining("none/* matches no file") })
    expect(await wrong("-i", "workdir=/")).toMatchObject({ exitCode: 2 })
  })

  it("survives the death of its supervisor, and cancel ends all that the command started", async () => {
    const creating = bench.start(
      createArgs(
        "long",
        "-i",
        "command=setsid sleep 1001 & i=0; while sleep 0.2; do i=$((i+1)); echo line $i; done"
      )
    )
    const printed = (line: string) =>
      waitFor(line, async () => (await sandboxer("logs", "long")).stdout.includes(`${line}\n`), 60_000)
    await printed("line 5")
    for (const { pid } of bench.supervisors()) process.kill(pid, "SIGKILL")
    await printed("line 20")
    const lines = (await sandboxer("logs", "long")).stdout.split("\n").slice(0, -1)
    expect(lines).toEqual(lines.map((_, index) => `line ${index + 1}`))
    expect(await sandboxer("cancel", "long")).toMatchObject({ exitCode: 0 })
    expect((await creating.ended).exitCode).toBe(130)
    expect((await guest.ssh("ps | grep '[s]leep 100'")).stdout).toBe("")
    await expectNoJobThere()
  })

  it("works with exec, ssh and sync, and leaves nothing on the guest", async () => {
    const made = await create("used", ...project(), "-i", "workspace=fresh")
    expect(made, made.stderr).toMatchObject({ exitCode: 0 })
    const workdir = sandboxOf(made).endpoint?.workdir ?? ""
    const odd = ["a b", "", "'q'", '"', "-x", "--", "new\nline", "ü", "$HOME", "*"]
    const printed = await sandboxer("exec", "used", "--", "printf", "<%s>", ...odd)
    expect(printed).toMatchObject({ exitCode: 0, stdout: odd.map((word) => `<${word}>`).join("") })
    expect((await sandboxer("exec", "used", "--", "sh", "-c", "pwd; exit 255")).stdout).toBe(`${workdir}\n`)
    write("project/new", "")
    const synced = await sandboxer("sync", "used", "-o", "json")
    expect(JSON.parse(synced.stdout).items).toEqual([{ change: "sent", path: "new" }])
    expect(await sandboxer("destroy", "used")).toMatchObject({ exitCode: 0 })
    expect((await guest.ssh(`ls '${workdir}'; ls ~/.sandboxer/run`)).stdout).toBe("")
  })
})

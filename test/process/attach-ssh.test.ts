/** Attach mode over a real sshd: what a network and its end do is what is tested. */
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { afterAll, describe, expect } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { Sshd, type SshdOptions } from "../support/sshd.js"
import { it, type Lab, output, type SandboxJson, type Started } from "./harness.js"

// Several at a time, which mostly wait.

const started: Array<Sshd> = []
afterAll(async () => {
  for (const sshd of started) await sshd.dispose()
})

/** A machine called `builder` in the lab's configuration, and a project. */
const builder = async (lab: Lab, options?: SshdOptions): Promise<Sshd> => {
  const sshd = await Sshd.start(options)
  started.push(sshd)
  lab.write(".config/sandboxer/config.yaml", { hosts: { builder: sshd.connection } })
  lab.write("project/a.txt", "a\n")
  return sshd
}

const start = (lab: Lab, ...args: ReadonlyArray<string>): Started =>
  lab.start(["create", "-p", "profile.vm-packer-attach", "-i", "host=builder", "-o", "json", ...args])

const attach = async (lab: Lab, ...args: ReadonlyArray<string>) => {
  const { exitCode, stderr, stdout } = await start(lab, ...args).ended
  return { exitCode, stderr, sandbox: (stdout === "" ? undefined : JSON.parse(stdout)) as SandboxJson }
}

/** To a good end. */
const attached = async (lab: Lab, ...args: ReadonlyArray<string>) => {
  const { exitCode, sandbox, stderr } = await attach(lab, ...args)
  expect(exitCode, stderr).toBe(0)
  return { ...sandbox, workdir: sandbox.endpoint?.workdir ?? "", stderr }
}

const withProject = ["-i", "project=project"]
const running = (command: string) => ["-i", `command=${command}`]
const results = ["-i", "into=results"]
const receiptOf = (lab: Lab) => JSON.parse(fs.readFileSync(join(lab.folder, "results/receipt.json"), "utf8"))

/** Prints a line each twentieth of a second until it is told to go on. */
const talks =
  "i=0; while [ ! -e go ]; do i=$((i+1)); echo line $i; sleep 0.05; done; echo ended $i; echo $i >count"

describe.concurrent("attach over SSH", () => {
  it("is ready in a moment, leaves the machine unchanged, and can be used", async ({ lab }) => {
    const sshd = await builder(lab)
    const { endpoint, name } = await attached(lab)
    expect(endpoint).toEqual({
      host: "127.0.0.1",
      port: sshd.port,
      user: sshd.connection.user,
      workdir: null
    })
    expect(fs.readdirSync(join(sshd.home, ".sandboxer"))).toEqual([])
    const words = ["a b", "", "'q'", '"', "-x", "--", "new\nline", "ü", "$HOME", "*"]
    const printed = await lab.run(["exec", name, "--", "printf", "<%s>", ...words])
    expect(printed).toMatchObject({ exitCode: 0, stdout: words.map((word) => `<${word}>`).join("") })
    expect((await lab.run(["exec", name, "--", "sh", "-c", "exit 41"])).exitCode).toBe(41)
    const terminal = await lab.startOnTerminal(["exec", name, "--", "true"]).ended
    expect(terminal.exitCode).toBe(0)
    await sshd.stop()
    expect((await lab.run(["exec", name, "--", "true"])).exitCode).toBe(255)
  })

  it("syncs 10,000 files, builds, collects results, and is incremental the second time", async ({ lab }) => {
    const sshd = await builder(lab)
    for (let folder = 0; folder < 100; folder++) {
      fs.mkdirSync(join(lab.folder, "project/src", String(folder)), { recursive: true })
      for (let file = 0; file < 100; file++) {
        fs.writeFileSync(
          join(lab.folder, "project/src", String(folder), `${file}.txt`),
          `${folder}/${file}\n`
        )
      }
    }
    const args = [
      ...withProject,
      ...running(
        "find src -type f | wc -l; mkdir -p out; cat src/*/* | sha256sum >'out/the sum'; ln -s 'the sum' out/link"
      ),
      ...["-i", "collect=out", "-i", "exclude=/out", "-i", "tools=sh", ...results]
    ]
    const first = await attached(lab, ...args.map((word) => word.replace("ln -s", "ln -sf")))
    expect(first.stderr).toContain("sent 10001 files, deleted 0")
    expect(lab.log(first)).toBe("10000\n")
    expect([...lab.files(join(lab.folder, "results"))].sort()).toEqual([
      "/out/link",
      "/out/the sum",
      "/receipt.json"
    ])
    const sum = output("sh", ["-c", "cat src/*/* | sha256sum"], join(lab.folder, "project"))
    expect(fs.readFileSync(join(lab.folder, "results/out/the sum"), "utf8")).toBe(sum)
    expect(receiptOf(lab)).toMatchObject({
      host: { host: "127.0.0.1", port: sshd.port, keyFingerprint: sshd.fingerprint },
      exitCode: 0,
      files: [{ name: "out/link" }, { name: "out/the sum" }]
    })
    fs.writeFileSync(join(lab.folder, "project/src/0/0.txt"), "changed\n")
    const second = await attached(lab, ...args.map((word) => word.replace("ln -s", "ln -sf")))
    expect(second.stderr).toContain("sent 1 files, deleted 0")
    expect(second.workdir).toBe(first.workdir)
  })

  it("reports the exit code and the last lines of a command that fails", async ({ lab }) => {
    await builder(lab)
    const { exitCode, sandbox, stderr } = await attach(
      lab,
      ...withProject,
      ...running("echo no; exit 41"),
      ...results
    )
    expect(exitCode).toBe(10)
    expect(stderr).toContain("  | no\n")
    expect(sandbox.failure).toMatchObject({
      reason: "command-failed",
      message: expect.stringContaining("41")
    })
    expect(receiptOf(lab)).toMatchObject({ exitCode: 41, files: [] })
  })

  const ways: ReadonlyArray<readonly [string, (lab: Lab, sshd: Sshd) => Promise<void>]> = [
    ["is cut", (_, sshd) => sshd.cut()],
    [
      "is cut, and nobody answers for a while",
      async (lab, sshd) => {
        await sshd.stop()
        const before = (await lab.events("project")).length
        await lab.run(["show", "project"])
        expect((await lab.events("project")).length).toBeGreaterThanOrEqual(before)
        await sshd.start()
      }
    ],
    ["stays, and the supervisor is killed", async (lab) => lab.crash(await lab.supervisor())],
    [
      "is cut, and the supervisor is killed",
      async (lab, sshd) => {
        await sshd.cut()
        await lab.crash(await lab.supervisor())
      }
    ]
  ]
  it.for(ways)(
    "continues when the connection %s, without losing or doubling a line",
    async ([, happens], { lab }) => {
      const sshd = await builder(lab)
      const create = start(lab, ...withProject, ...running(talks), "-i", "collect=count", ...results)
      await create.printed("== run")
      const work = join(sshd.home, ".sandboxer/work")
      const workdir = await waitFor(
        "the workspace",
        () => fs.readdirSync(work).map((name) => join(work, name))[0]
      )
      // Each supervisor has a log of its own, which goes on with that of the one before.
      const logs = join(lab.home, "logs")
      const until = (line: string) =>
        waitFor(line, () =>
          lab.files(logs).some((name) => fs.readFileSync(join(logs, name), "utf8").includes(line))
        )
      await until("line 5\n")
      await happens(lab, sshd)
      await until("line 40\n")
      fs.writeFileSync(join(workdir, "go"), "")
      const { exitCode, stderr, stdout } = await create.ended
      expect(exitCode, stderr).toBe(0)
      const count = Number(fs.readFileSync(join(lab.folder, "results/count"), "utf8"))
      const lines = Array.from({ length: count }, (_, index) => `line ${index + 1}\n`)
      expect(lab.log(JSON.parse(stdout))).toBe(`${lines.join("")}ended ${count}\n`)
      expect(sshd.jobProcesses()).toEqual([])
    }
  )

  it("cancel ends everything that the command started on the machine", async ({ lab }) => {
    const sshd = await builder(lab)
    const create = start(lab, ...withProject, ...running("setsid sleep 1001 & sleep 1000"))
    await create.printed("== run")
    await waitFor("the command", () => sshd.jobProcesses().length >= 2)
    const { exitCode, stderr } = await lab.run(["cancel", "project"])
    expect(exitCode, stderr).toBe(0)
    expect((await create.ended).exitCode).toBe(130)
    expect(sshd.jobProcesses()).toEqual([])
    expect(fs.readdirSync(join(sshd.home, ".sandboxer/jobs"))).toEqual([])
  })

  it("passes secrets to the command without putting them on a command line", async ({ lab }) => {
    const sshd = await builder(lab)
    lab.write("profiles/secret.yaml", {
      id: "profile.secret",
      extends: "profile.vm-packer-attach",
      inputs: { TOKEN: { type: "secret", variable: true } }
    })
    const token = lab.write("token", "correct horse 'battery'")
    const { exitCode, stderr, stdout } = await lab.start([
      ...["create", "-p", "secret", "-i", "host=builder", "-i", `TOKEN=@${token}`, "-o", "json"],
      ...running(
        'echo "<$TOKEN>"; cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n" | grep -c "^correct horse" || true'
      )
    ]).ended
    expect(exitCode, stderr).toBe(0)
    expect(lab.log(JSON.parse(stdout))).toBe("<[redacted]>\n0\n")
    const left = lab.files(sshd.home).filter((name) => fs.readFileSync(sshd.home + name).includes("battery"))
    expect(left).toEqual([])
  })
})

describe.concurrent("a machine that attach cannot use", () => {
  it("fails as unreachable if nothing answers", async ({ lab }) => {
    const sshd = await builder(lab)
    await sshd.stop()
    const { exitCode, sandbox, stderr } = await attach(lab)
    expect(exitCode).toBe(14)
    expect(sandbox.failure).toMatchObject({ reason: "host-unreachable" })
    expect(stderr).toMatch(/error: builder: builder cannot be reached: .*\nhint: /)
  })

  it("fails as refused if the machine rejects the key", async ({ lab }) => {
    const sshd = await builder(lab)
    fs.writeFileSync(sshd.file("authorized_keys"), "")
    expect(await attach(lab)).toMatchObject({ exitCode: 4, sandbox: { failure: { reason: "host-refused" } } })
  })

  it("fails if the machine's host key has changed", async ({ lab }) => {
    const sshd = await builder(lab)
    await attached(lab)
    const before = sshd.fingerprint
    await sshd.changeKey()
    const { exitCode, sandbox } = await attach(lab)
    expect(exitCode).toBe(4)
    expect(sandbox.failure).toMatchObject({ reason: "host-key-changed" })
    for (const key of [before, sshd.fingerprint]) expect(sandbox.failure!.message).toContain(key)
  })

  it("is reported by preflight, host check and doctor if rsync and setsid are missing", async ({ lab }) => {
    const bin = join(lab.folder, "few")
    fs.mkdirSync(bin)
    for (const program of [
      "sh",
      "cat",
      "mkdir",
      "chmod",
      "ls",
      "rm",
      "mv",
      "head",
      "df",
      "mktemp",
      "sleep",
      "ps"
    ]) {
      const found = output("sh", ["-c", `command -v ${program}`]).trim()
      fs.symlinkSync(found, join(bin, program))
    }
    await builder(lab, { path: bin })
    const { exitCode, sandbox } = await attach(lab, ...withProject)
    expect(exitCode).toBe(15)
    expect(sandbox.failure).toMatchObject({
      reason: "command-missing",
      message: "rsync is not on the PATH of builder"
    })
    const both = await attach(lab, ...withProject, ...running("true"))
    expect(both.exitCode).toBe(15)
    expect(both.sandbox.failure).toMatchObject({
      reason: "command-missing",
      message: "setsid, rsync are not on the PATH of builder",
      hint: "install it there: `sudo apt-get install util-linux rsync` (Debian)"
    })
    const checked = await lab.run(["host", "check", "builder"])
    expect(checked.exitCode, checked.stdout).toBe(15)
    expect(checked.stderr).toContain("missing: setsid on builder, rsync on builder")
    const examined = await lab.run(["doctor"])
    expect(examined.stdout).toMatch(/hosts\.builder +setsid, rsync, sha256sum are not on the PATH of builder/)
  })

  it("fails if its disk is full, and works again after space was freed", async ({ lab, skip }) => {
    const sshd = await builder(lab)
    const work = join(sshd.home, ".sandboxer")
    fs.mkdirSync(work, { mode: 0o700 })
    const resize = (option: string) =>
      spawnSync("mount", ["-t", "tmpfs", "-o", `${option},size=1m,mode=700`, "tmpfs", work]).status === 0
    if (!resize("rw")) return skip("only root may mount a small disk")
    try {
      lab.write("project/large", "x".repeat(2 ** 20))
      const full = await attach(lab, ...withProject, ...running("true"), ...results)
      expect(full.exitCode, full.stderr).toBe(10)
      expect(full.sandbox.failure).toMatchObject({ reason: "disk-full" })
      expect(full.stderr).toMatch(/error: project: .*builder.*No space left on device.*\nhint: .*space/)
      // Neither a part of a file nor of a job.
      expect(lab.files(work).filter((name) => /large|jobs/.test(name))).toEqual([])
      expect(lab.files(join(lab.folder, "results"))).toEqual([])

      fs.rmSync(join(lab.folder, "project/large"))
      const prints = await attach(
        lab,
        ...withProject,
        ...running("head -c 2000000 /dev/zero | tr '\\0' x; echo $? >&2")
      )
      expect(prints.exitCode, prints.stderr).toBe(10)
      expect(prints.stderr).toMatch(/error: project.*\nhint: .*disk was full/)
      expect(sshd.jobProcesses()).toEqual([])
      expect(fs.readdirSync(join(work, "jobs"))).toEqual([])

      const { workdir } = await attached(lab, ...withProject, ...running("cat a.txt"))
      expect(fs.readdirSync(workdir).sort()).toEqual([".sandboxer-workspace", "a.txt"])
    } finally {
      execFileSync("umount", ["--lazy", work])
    }
  })

  it("destroy reports that the machine is unreachable, and --force forgets the sandbox", async ({ lab }) => {
    const sshd = await builder(lab)
    const { id } = await attached(lab, ...withProject, "-i", "workspace=fresh")
    await sshd.stop()
    const refused = await lab.run(["destroy", id])
    expect(refused.exitCode).toBe(14)
    expect(refused.stderr).toMatch(/^error: project cannot be destroyed: .*\nhint: .*--force/)
    expect((await lab.show(id)).state).toBe("destroying")
    const forced = await lab.run(["destroy", "--force", id])
    expect(forced.exitCode, forced.stderr).toBe(0)
    expect(forced.stderr).toMatch(/^warning: project: its workspace, .* may be left on builder/)
    expect((await lab.show(id)).state).toBe("destroyed")
  })

  it("doctor --fix looks at a machine while sandboxes are attached to it, and not afterwards", async ({
    lab
  }) => {
    const sshd = await builder(lab)
    const { host, identityFile, port, user } = sshd.connection
    const direct = Object.entries({ host, port, user, identity_file: identityFile })
    const words = direct.flatMap(([name, value]) => ["-i", `${name}=${value}`])
    const create = () => lab.json<SandboxJson>("create", "-p", "profile.vm-packer-attach", ...words)
    const found = async () => {
      const { items } = await lab.json<{ items: ReadonlyArray<{ mismatch: string; outcome: string }> }>(
        ...["doctor", "--fix"]
      )
      return items.map(({ mismatch, outcome }) => [mismatch, outcome])
    }
    const { id, name } = await create()
    expect((await lab.run(["destroy", name])).exitCode).toBe(0)
    const left = join(sshd.home, ".sandboxer/jobs", id)
    fs.mkdirSync(join(left, "1/build"), { recursive: true })
    expect(await found()).toEqual([["job-folder", "mended"]])
    expect(fs.existsSync(left)).toBe(false)
    const other = await create()
    await sshd.stop()
    expect(await found()).toEqual([["host", "left"]])
    expect((await lab.run(["destroy", "--force", other.name])).exitCode).toBe(0)
    expect(await found()).toEqual([])
  })

  it("destroy removes the workspace after an unreachable machine has come back", async ({ lab }) => {
    const sshd = await builder(lab)
    const { id, workdir } = await attached(lab, ...withProject, "-i", "workspace=fresh")
    expect(fs.existsSync(join(workdir, "a.txt"))).toBe(true)
    await sshd.cut()
    expect((await lab.run(["destroy", id])).exitCode).toBe(0)
    expect(fs.existsSync(workdir)).toBe(false)
  })
})

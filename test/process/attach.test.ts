/** Attach mode with real shells, on this machine: what a shell, find, rsync and processes do is what is tested. */
import * as fs from "node:fs"
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { it, type Lab, output, type SandboxJson, type Started } from "./harness.js"
import { lives } from "./until.js"

/** Has a profile for it, and a project. */
const prepare = (lab: Lab) => {
  lab.write("profiles/here.yaml", {
    id: "profile.here",
    extension: "ext.vm-packer",
    mode: "attach",
    ttl: "1 hour",
    inputs: { host: { default: "local" } }
  })
  lab.write("project/a.txt", "a\n")
  lab.write("project/sub/b.txt", "b\n")
}

const start = (lab: Lab, ...args: ReadonlyArray<string>): Started =>
  lab.start(["create", "--profile", "profile.here", "-o", "json", ...args])

const attach = async (lab: Lab, ...args: ReadonlyArray<string>) => {
  const { exitCode, stderr, stdout } = await start(lab, ...args).ended
  return { exitCode, stderr, sandbox: (stdout === "" ? undefined : JSON.parse(stdout)) as SandboxJson }
}

/** To a good end. */
const attached = async (lab: Lab, ...args: ReadonlyArray<string>) => {
  const { exitCode, sandbox, stderr } = await attach(lab, ...args)
  expect(exitCode, stderr).toBe(0)
  return { ...sandbox, workdir: sandbox.endpoint!.workdir!, stderr }
}

const withProject = ["-i", "project=project"]
const running = (command: string) => ["-i", `command=${command}`]
const collecting = (...patterns: ReadonlyArray<string>) => [
  ...patterns.flatMap((pattern) => ["-i", `collect=${pattern}`]),
  "-i",
  "into=results"
]

describe.concurrent("attach", () => {
  it("without a project or command is ready and leaves no process", async ({ lab }) => {
    prepare(lab)
    const { sandbox } = await attach(lab)
    expect(sandbox).toMatchObject({ name: "local", state: "ready", endpoint: { workdir: null } })
    expect(lab.files(join(lab.home, "jobs"))).toEqual([])
    await lab.quiet()
  })

  it("with --detach runs in a process of its own", async ({ lab }) => {
    prepare(lab)
    const { sandbox } = await attach(lab, "--detach")
    expect(sandbox.state).toBe("requested")
    expect(await lab.json("wait", "local", "--for", "ready")).toMatchObject({ state: "ready" })
    await lab.run(["destroy", "local"])
    const { exitCode, stderr } = await lab.run(["wait", sandbox.id, "--for", "ready"])
    expect(exitCode).toBe(13)
    expect(stderr).toContain("was ready, and is destroyed")
  })

  it("continues in another supervisor if create is killed in the middle", async ({ lab }) => {
    prepare(lab)
    // Its first errand waits until it is told to go on.
    lab.script(
      "bin/slow",
      `[ "$1" = --version ] && { : >"$HOME/asked"; while [ ! -e "$HOME/go" ]; do sleep 0.1; done; echo 1; }`
    )
    const create = start(lab, "-i", "tools=slow")
    await waitFor("the first errand", () => fs.existsSync(join(lab.folder, "asked")))
    await lab.crash(create.pid)
    expect((await lab.show("local")).state).toBe("provisioning")
    lab.write("go", "")
    expect(await lab.json("wait", "local")).toMatchObject({ state: "ready" })
  })

  it("syncs a project, runs a command, and collects results under their paths", async ({ lab }) => {
    prepare(lab)
    const command = `cat a.txt sub/b.txt && mkdir -p "out/ü n" && echo 1 >"out/ü n/-x y" && printf 2 >"out/new
line" && chmod 755 out/new* && echo 3 >-dash && ln -s out/new* inside`
    const made = await attached(
      lab,
      ...withProject,
      ...running(command),
      ...collecting("out", "-dash", "in*", "out/ü*/*")
    )
    const results = join(lab.folder, "results")
    expect([...lab.files(results)].sort()).toEqual(
      ["/-dash", "/inside", "/out/new\nline", "/out/ü n/-x y", "/receipt.json"].sort()
    )
    expect(fs.readFileSync(join(results, "inside"), "utf8")).toBe("2")
    expect(fs.statSync(join(results, "out/new\nline")).mode & 0o777).toBe(0o755)
    expect(lab.log(made)).toBe("a\nb\n")
    expect(made.artifacts).toEqual([])
    const receipt = JSON.parse(fs.readFileSync(join(results, "receipt.json"), "utf8"))
    expect(receipt).toMatchObject({ exitCode: 0, project: { revision: null }, files: { length: 4 } })
    const sums = receipt.files.map(({ name, sha256 }: Record<string, string>) => `${sha256}  ${name}`)
    const dash = output("sha256sum", ["--", "-dash"], results).trim()
    expect(sums).toContain(dash)
  })

  it("records the project's git revision in the receipt", async ({ lab }) => {
    prepare(lab)
    const project = join(lab.folder, "project")
    const git = (...args: ReadonlyArray<string>) =>
      output("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], project).trim()
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    const revision = async () => {
      await attached(lab, ...withProject, ...running("true"), "-i", "into=results")
      const text = fs.readFileSync(join(lab.folder, "results/receipt.json"), "utf8")
      return JSON.parse(text).project.revision
    }
    const commit = git("rev-parse", "HEAD")
    expect(await revision()).toEqual({ commit, dirty: false, differenceSha256: null })
    lab.write("project/a.txt", "changed\n")
    const changed = await revision()
    expect(changed).toEqual({
      commit,
      dirty: true,
      differenceSha256: expect.stringMatching(/^[0-9a-f]{64}$/)
    })
    expect(await revision()).toEqual(changed)
    lab.write("project/unknown", "")
    expect((await revision()).differenceSha256).not.toBe(changed.differenceSha256)
  })

  it("keeps the workspace: excluded files stay, deleted ones go, unchanged ones are not sent again", async ({
    lab
  }) => {
    prepare(lab)
    const args = [
      ...withProject,
      "-i",
      "exclude=/build",
      ...running("mkdir -p build && echo x >>build/count && ls")
    ]
    const first = await attached(lab, ...args)
    expect(first.stderr).toContain("sent 2 files, deleted 0")
    fs.rmSync(join(lab.folder, "project/sub"), { recursive: true })
    lab.write("project/new", "")
    const second = await attached(lab, ...args)
    expect(second.stderr).toContain("sent 1 files, deleted 1")
    expect(second.workdir).toBe(first.workdir)
    expect(fs.readFileSync(join(second.workdir, "build/count"), "utf8")).toBe("x\nx\n")
    expect(fs.existsSync(join(second.workdir, "sub"))).toBe(false)
  })

  it("leaves out what .gitignore names, on request", async ({ lab }) => {
    prepare(lab)
    lab.write("project/.gitignore", "*.o\n")
    lab.write("project/x.o", "")
    const { workdir } = await attached(lab, ...withProject, "-i", "gitignore=true")
    expect(fs.readdirSync(workdir).sort()).toEqual([".gitignore", ".sandboxer-workspace", "a.txt", "sub"])
  })

  it("syncs links as links and warns about links that lead outside", async ({ lab }) => {
    prepare(lab)
    fs.symlinkSync("/etc/passwd", join(lab.folder, "project/secret"))
    fs.symlinkSync("../a.txt", join(lab.folder, "project/sub/fine"))
    const { stderr, workdir } = await attached(lab, ...withProject)
    expect(stderr).toMatch(/warning: links that lead out of the project .*: secret\n/)
    expect(fs.readlinkSync(join(workdir, "secret"))).toBe("/etc/passwd")
  })

  it("passes inputs to the command as variables, and secrets without exposing them", async ({ lab }) => {
    prepare(lab)
    lab.write("profiles/here.yaml", {
      id: "profile.here",
      extension: "ext.vm-packer",
      mode: "attach",
      inputs: {
        host: { default: "local" },
        LEVEL: { type: "integer", default: 3, variable: true },
        TOKEN: { type: "secret", variable: true }
      }
    })
    const token = lab.write("token", "correct horse 'battery'")
    const made = await attached(
      lab,
      ...running('echo "$LEVEL <$TOKEN>"'),
      "-i",
      `TOKEN=@${token}`,
      "-i",
      "into=results"
    )
    expect(lab.log(made)).toBe("3 <[redacted]>\n")
    const files = [lab.home, join(lab.folder, "results")].flatMap((folder) =>
      lab.files(folder).map((name) => folder + name)
    )
    expect(files.filter((file) => fs.readFileSync(file).includes("battery"))).toEqual([])
  })
})

describe.concurrent("a command that fails", () => {
  it("is reported with its exit code and its last lines", async ({ lab }) => {
    prepare(lab)
    const { exitCode, sandbox, stderr } = await attach(
      lab,
      ...withProject,
      ...running("echo one; echo two >&2; exit 41"),
      ...collecting("out")
    )
    expect(exitCode).toBe(10)
    expect(stderr).toContain("  | one\n  | two\n")
    expect(stderr).toMatch(/error: project: the command ended with exit code 41: .*\nhint: /)
    expect(sandbox).toMatchObject({ state: "failed", failure: { reason: "command-failed" } })
    expect(lab.files(join(lab.folder, "results"))).toEqual(["/receipt.json"])
  })

  const failures: ReadonlyArray<readonly [string, string, string, string]> = [
    ["matches nothing", "true", "out/*", "out/* matches no file"],
    ["matches an empty folder", "mkdir out", "out", "out matches no file"],
    ["is a link that leads out", "ln -s /etc/passwd out", "out", "out is a link that leads out"],
    ["leads through a link out", "ln -s /etc out", "out/passwd", "out/passwd is a link that leads out"],
    ["has a link out in it", "mkdir out; ln -s /etc out/x", "out", "out/x is a link that leads out"],
    ["is no file", "mkfifo out", "out", "out is neither"]
  ]
  it.for(failures)(
    "the sandbox fails too if a collect %s",
    async ([, command, pattern, message], { lab }) => {
      prepare(lab)
      const { exitCode, sandbox } = await attach(lab, ...running(command), ...collecting(pattern))
      expect(exitCode).toBe(10)
      expect(sandbox.failure).toMatchObject({ reason: "collect-failed" })
      expect(sandbox.failure!.message).toContain(message)
      expect(lab.files(join(lab.folder, "results"))).toEqual(["/receipt.json"])
    }
  )
})

describe.concurrent("a command", () => {
  it("that leaves a daemon running ends, and the daemon is stopped", async ({ lab }) => {
    prepare(lab)
    const { workdir } = await attached(
      lab,
      ...running("setsid sh -c 'echo $$ >pid; sleep 1000' & while [ ! -s pid ]; do sleep 0.1; done")
    )
    expect(lives(Number(fs.readFileSync(join(workdir, "pid"), "utf8")))).toBe(false)
    expect(lab.jobCommands()).toEqual([])
  })

  it("that prints a lot is read completely", async ({ lab }) => {
    prepare(lab)
    const made = await attached(lab, ...running("seq 1 1000000"))
    const log = lab.log(made)
    expect(log.length).toBe(6888896)
    expect(log.endsWith("\n999999\n1000000\n")).toBe(true)
  })

  it("survives the death of its supervisor and is followed by the next one", async ({ lab }) => {
    prepare(lab)
    const command = "echo began >>count; while [ ! -e go ]; do sleep 0.1; done; echo ended; echo made >out"
    const create = start(lab, ...withProject, ...running(command), ...collecting("out"))
    await create.printed("== run")
    const workdir = await waitFor(
      "the workspace",
      () => fs.readdirSync(join(lab.home, "work")).map((name) => join(lab.home, "work", name))[0]
    )
    await waitFor("the command", () => fs.existsSync(join(workdir, "count")))
    await lab.crash(await lab.supervisor())
    fs.writeFileSync(join(workdir, "go"), "")
    const { exitCode, stderr } = await create.ended
    expect(exitCode, stderr).toBe(0)
    expect(fs.readFileSync(join(workdir, "count"), "utf8")).toBe("began\n")
    expect([...lab.files(join(lab.folder, "results"))].sort()).toEqual(["/out", "/receipt.json"])
  })

  it("and everything that it started is ended by cancel", async ({ lab }) => {
    prepare(lab)
    const create = start(
      lab,
      ...withProject,
      ...running("setsid sleep 1001 & sleep 1000"),
      "-i",
      "workspace=fresh"
    )
    await create.printed("== run")
    await waitFor("the command", () => lab.jobCommands("sleep").length === 2)
    expect((await lab.run(["cancel", "project"])).exitCode).toBe(0)
    expect((await create.ended).exitCode).toBe(130)
    expect(lab.jobCommands()).toEqual([])
    // What was made for it goes when it is destroyed.
    expect(fs.readdirSync(join(lab.home, "work"))).toHaveLength(1)
    expect((await lab.run(["destroy", "project"])).exitCode).toBe(0)
    expect(fs.readdirSync(join(lab.home, "work"))).toEqual([])
  })
})

describe.concurrent("a workdir that the user names", () => {
  it("is created, used as the workspace, and never removed", async ({ lab }) => {
    prepare(lab)
    const { name, workdir } = await attached(lab, ...withProject, "-i", "workdir=~/deep/work")
    expect(workdir).toBe(join(lab.folder, "deep/work"))
    const { exitCode, stderr } = await lab.run(["destroy", name, "--delete-workspace"])
    expect(exitCode).toBe(0)
    expect(stderr).toContain("no workspace that is sandboxer's")
    expect(lab.files(workdir)).toContain("/a.txt")
    // It is known again.
    await attached(lab, ...withProject, "-i", `workdir=${workdir}`)
  })

  it("that contains other files is refused, and the files stay", async ({ lab }) => {
    prepare(lab)
    lab.write("theirs/file", "")
    const { exitCode, stderr } = await attach(
      lab,
      ...withProject,
      "-i",
      `workdir=${join(lab.folder, "theirs")}`
    )
    expect(exitCode).toBe(13)
    expect(stderr).toMatch(/files of others, which would be deleted\nhint: .*touch /)
    expect(lab.files(join(lab.folder, "theirs"))).toEqual(["/file"])
    // To run a command there deletes nothing.
    const made = await attached(lab, ...running("ls"), "-i", "workdir=theirs")
    expect(lab.log(made)).toBe("file\n")
  })

  it.for(["home", "above"])("that is the %s folder is refused", async (where, { lab }) => {
    prepare(lab)
    fs.symlinkSync(where === "home" ? lab.folder : "/", join(lab.folder, "link"))
    const { exitCode, stderr } = await attach(lab, ...withProject, "-i", "workdir=link")
    expect(exitCode).toBe(2)
    expect(stderr).toContain("is the home directory, or one above it")
  })
})

describe.concurrent("an attached sandbox", () => {
  it("exec runs a command in the workspace with unchanged arguments and its exit code", async ({ lab }) => {
    prepare(lab)
    const { name, workdir } = await attached(lab, ...withProject)
    const words = ["a b", "", "'q'", '"', "-x", "--", "new\nline", "ü", "$HOME", "*"]
    const printed = await lab.run(["exec", name, "--", "printf", "<%s>", ...words])
    expect(printed).toMatchObject({ exitCode: 0, stdout: words.map((word) => `<${word}>`).join("") })
    expect((await lab.run(["exec", name, "--", "pwd"])).stdout).toBe(`${workdir}\n`)
    expect((await lab.run(["exec", name, "--", "sh", "-c", "exit 41"])).exitCode).toBe(41)
    expect((await lab.run(["exec", name, "ls"])).stdout).toBe("a.txt\nsub\n")
  })

  it("sync sends what changed and reports it", async ({ lab }) => {
    prepare(lab)
    const { name, workdir } = await attached(lab, ...withProject)
    lab.write("project/new", "")
    fs.rmSync(join(lab.folder, "project/a.txt"))
    const changes = {
      items: [
        { change: "deleted", path: "a.txt" },
        { change: "sent", path: "new" }
      ]
    }
    expect(await lab.json("sync", name, "--dry-run")).toMatchObject(changes)
    expect(fs.existsSync(join(workdir, "new"))).toBe(false)
    expect(await lab.json("sync", name)).toMatchObject(changes)
    expect(await lab.json("sync", name)).toMatchObject({ items: [] })
    expect(fs.readdirSync(workdir).sort()).toEqual([".sandboxer-workspace", "new", "sub"])
  })

  it("ssh opens a terminal in the workspace", async ({ lab }) => {
    prepare(lab)
    const { name, workdir } = await attached(lab, ...withProject)
    lab.script("shell", "tty && pwd && exit 3")
    const { exitCode, stdout } = await lab.startOnTerminal(["ssh", name], {
      SHELL: join(lab.folder, "shell")
    }).ended
    expect(exitCode, stdout).toBe(3)
    expect(stdout).toMatch(/\/dev\/pts\/\d+\r\n/)
    expect(stdout).toContain(workdir)
  })

  it("each use restarts the TTL", async ({ lab }) => {
    prepare(lab)
    const { expiresAt, name } = await attached(lab)
    await lab.run(["exec", name, "--", "true"])
    expect((await lab.show(name)).expiresAt! > expiresAt!).toBe(true)
  })

  it("exec, ssh and sync of an unknown or ended sandbox are refused", async ({ lab }) => {
    prepare(lab)
    await lab.created("demo")
    await attached(lab)
    await lab.run(["destroy", "local"])
    for (const [verb = "", ...rest] of [["exec", "--", "true"], ["ssh"], ["sync"]]) {
      const ofBuild = await lab.run([verb, "demo", ...rest])
      expect(ofBuild.exitCode).toBe(13)
      expect(ofBuild.stderr).toMatch(/^error: demo has no machine to use.*\nhint: .*attach/)
      const { exitCode, stderr } = await lab.run([verb, "local", ...rest])
      expect(exitCode).toBe(13)
      expect(stderr).toMatch(/^error: local is destroyed\nhint: /)
    }
  })
})

describe.concurrent("destroy of an attached sandbox", () => {
  it("keeps a workspace for the next sandbox of the project, and deletes it with --delete-workspace", async ({
    lab
  }) => {
    prepare(lab)
    const first = await attached(lab, ...withProject)
    await lab.run(["destroy", first.name])
    expect(lab.files(first.workdir)).toContain("/a.txt")
    const second = await attached(lab, ...withProject)
    expect((await lab.run(["destroy", second.name, "--delete-workspace"])).exitCode).toBe(0)
    expect(fs.existsSync(second.workdir)).toBe(false)
    expect((await lab.events(second.id)).map(({ type }) => type).slice(-2)).toEqual([
      "destroying",
      "destroyed"
    ])
  })

  it("--delete-artifacts deletes results in the state directory, never those in the user's folder", async ({
    lab
  }) => {
    prepare(lab)
    const own = await attached(lab, ...running("mkdir -p d/e && echo 1 >d/e/f"), "-i", "collect=d")
    expect(own.artifacts.map(({ name }) => name)).toEqual(["d/e/f", "receipt.json"])
    expect((await lab.run(["artifact", "verify", own.id])).exitCode).toBe(0)
    await lab.run(["destroy", own.id, "--delete-artifacts"])
    expect(lab.files(lab.artifacts)).toEqual([])
    const theirs = await attached(lab, ...running("echo 1 >f"), ...collecting("f"))
    await lab.run(["destroy", theirs.id, "--delete-artifacts"])
    expect([...lab.files(join(lab.folder, "results"))].sort()).toEqual(["/f", "/receipt.json"])
  })

  it("does not delete a workspace while a command runs in it", async ({ lab }) => {
    prepare(lab)
    const ready = await attached(lab, ...withProject)
    const create = start(
      lab,
      ...withProject,
      ...running("while [ ! -e go ]; do sleep 0.1; done"),
      "--name",
      "busy"
    )
    await create.printed("== run")
    for (const words of [
      ["destroy", ready.id, "--delete-workspace"],
      ["sync", ready.id]
    ]) {
      const { exitCode, stderr } = await lab.run(words)
      expect(exitCode).toBe(13)
      expect(stderr).toMatch(/^error: busy, which is being provisioned, uses the workspace of /)
    }
    fs.writeFileSync(join(ready.workdir, "go"), "")
    expect((await create.ended).exitCode).toBe(0)
  })
})

describe.concurrent("inputs that belong to the other mode", () => {
  it("are rejected with the name of that mode", async ({ lab }) => {
    prepare(lab)
    expect(await attach(lab, "-i", "packer_template=x")).toMatchObject({
      exitCode: 2,
      stderr:
        "error: packer_template is an input of build mode\nhint: leave it out, or choose that mode: --mode build\n"
    })
    const { exitCode, stderr } = await lab.run(["create", "-p", "tiny", "-i", "vm_name=x", "-i", "project=."])
    expect(exitCode).toBe(2)
    expect(stderr).toContain("project is an input of attach mode")
  })

  it("are shown by profile explain for each mode", async ({ lab }) => {
    prepare(lab)
    const names = async (...args: ReadonlyArray<string>) =>
      (
        await lab.json<{ items: ReadonlyArray<{ name: string }> }>("profile", "explain", "tiny", ...args)
      ).items.map(({ name }) => name)
    expect(await names()).toContain("packer_template")
    expect(await names("--mode", "attach")).toEqual(expect.arrayContaining(["host", "project", "vm_name"]))
    expect(await names("--mode", "attach")).not.toContain("packer_template")
    const { stdout } = await lab.run(["create", "--help"])
    for (const word of ["build mode", "attach mode", "--mode", "profile explain"])
      expect(stdout).toContain(word)
  })
})

/** What is wrong from the beginning, or goes wrong on the way: how it ends, and that nothing is left behind. */
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import BetterSqlite3 from "better-sqlite3"
import { waitFor } from "../support/patience.js"
import { it, type Lab, output } from "./harness.js"
import { lives } from "./until.js"

const unnamed = ["create", "--profile", "profile.tiny"]
const create = [...unnamed, "-i", "vm_name=demo"]

/** Nothing was created, and Packer was not even asked for its version. */
const expectNothingBegun = (lab: Lab) => {
  expect(existsSync(lab.home)).toBe(false)
  expect(lab.calls("packer", "version")).toEqual([])
}

describe.concurrent("wrong command lines", () => {
  it.for([
    [2, [...create, "-i", "packer_template=none.json"], "none.json does not exist or cannot be read"],
    [2, [...create, "-i", "packer_template=empty.json"], "empty.json is empty"],
    [2, [...create, "-i", "packer_template=empty"], "empty has no *.pkr.hcl or *.pkr.json file"],
    [2, unnamed, "input vm_name is missing"],
    [2, [...create, "-i", "vm_nmae=demo"], "unknown input vm_nmae"],
    [2, [...create, "-i", "force=maybe"], 'input force: got "maybe"'],
    [2, [...create, "-i", "format=vhd"], 'input format: got "vhd"'],
    [2, [...unnamed, "-i", "vm_name=a/b"], 'input vm_name: got "a/b"'],
    [2, [...unnamed, "-i", "vm_name=.."], 'input vm_name: got ".."'],
    [2, [...unnamed, "-i", "vm_name=/etc/passwd"], 'input vm_name: got "/etc/passwd"'],
    [3, ["create", "--profile", "profile.tinny", "-i", "vm_name=demo"], "no profile profile.tinny"]
  ] as const)("exit with %i: %j", async ([code, words, message], { lab }) => {
    lab.write("empty.json", " \n")
    mkdirSync(join(lab.folder, "empty"))
    const { exitCode, stderr, stdout } = await lab.run(words)
    expect({ exitCode, stdout }).toEqual({ exitCode: code, stdout: "" })
    expect(stderr).toMatch(/^error: .+\nhint: .+\n$/)
    expect(stderr.split("\n")[0]).toContain(message)
    expectNothingBegun(lab)
  })
})

const start = "id: profile.tiny\nextension: ext.vm-packer\nmode: build\n"
const bomb = [
  "a: &a [x, x, x, x, x, x, x, x, x]",
  ...[..."bcdefghi"].map((name, index) => `${name}: &${name} [${`*${"abcdefgh"[index]}, `.repeat(9)}]`)
].join("\n")

describe.concurrent("a broken profile", () => {
  it.for([
    ["a key that there is not", `${start}inptus: {}\n`, ":4:1: unknown key inptus"],
    ["a key of a wrong type", `${start}inputs:\n  vm_name: { required: maybe }\n`, ":5:14: "],
    ["a bomb of aliases", `${start}${bomb}\n`, /:\d+:\d+: /],
    ["10 MB", `${start}description: ${"x".repeat(10_000_000)}\n`, ":1:1: "]
  ] as const)("is rejected with the place of the mistake: %s", async ([, text, where], { lab }) => {
    const file = lab.write("profiles/tiny.yaml", text)
    const { exitCode, stderr, stdout } = await lab.run(create)
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" })
    expect(stderr).toMatch(/^error: .+\nhint: .+\n$/)
    if (typeof where === "string") expect(stderr).toContain(`${file}${where}`)
    else expect(stderr.slice("error: ".length + file.length)).toMatch(where)
    expect(stderr.length).toBeLessThan(1000)
    expectNothingBegun(lab)
  })
})

/** A folder with these programs of this machine, for a PATH of its own. */
const programs = (lab: Lab, ...names: ReadonlyArray<string>) => {
  const folder = join(lab.folder, "programs")
  mkdirSync(folder)
  for (const name of names) {
    symlinkSync(output("sh", ["-c", 'command -v "$1"', "sh", name]).trim(), join(folder, name))
  }
  return folder
}

describe.concurrent("an unusable Packer", () => {
  it("fails preflight if it is missing", async ({ lab }) => {
    const PATH = programs(lab, "sh", "flock")
    const { exitCode, sandbox, stderr } = await lab.creating({ PATH }, "-i", "vm_name=demo").outcome()
    expect(exitCode, stderr).toBe(15)
    expect(sandbox).toMatchObject({
      failure: { reason: "packer-missing", hint: expect.stringContaining("apt-get install packer") }
    })
    lab.expectNothingLeft(sandbox.id)
  })

  it("fails preflight if a signal ends it", async ({ lab }) => {
    lab.script("bin/packer", "kill -SEGV $$")
    const { exitCode, sandbox, stderr } = await lab.create("demo").outcome()
    expect(exitCode, stderr).toBe(15)
    expect(sandbox).toMatchObject({
      failure: { reason: "packer-unusable", hint: expect.stringContaining("`packer version`") }
    })
    lab.expectNothingLeft(sandbox.id)
  })

  // Slow: it is given 20 s to say its version.
  it("fails preflight if it does not answer, and is ended with its children", async ({ lab }) => {
    lab.script("bin/packer", `sleep 600 & echo $! >'${join(lab.folder, "pid")}'\nwait`)
    const { exitCode, sandbox, stderr } = await lab.create("demo").outcome()
    expect(exitCode, stderr).toBe(15)
    expect(sandbox).toMatchObject({
      failure: {
        reason: "packer-unusable",
        message: "packer did not end within 20 s",
        hint: expect.stringContaining("`packer version`")
      }
    })
    expect(lives(Number(readFileSync(join(lab.folder, "pid"), "utf8")))).toBe(false)
    lab.expectNothingLeft(sandbox.id)
  })

  it("that panics: its crash.log is retained next to the log, redacted", async ({ lab }) => {
    const secret = "correct-horse-battery"
    lab.write("template/tiny.json", {
      variables: { output_directory: "output-tiny", vm_name: "tiny", token: "" }
    })
    lab.profile({ inputs: { token: { type: "secret", variable: true } } })
    lab.speak({ version: "1.6.6", crashes: `panic: no use for ${secret}\n\ngoroutine 1 [running]:\n` })
    const { exitCode, sandbox, stderr } = await lab
      .creating({ TOKEN: secret }, "-i", "vm_name=demo", "-i", "token=env:TOKEN", "--progress", "plain")
      .outcome()
    const folder = join(lab.template, "..")
    const kept = join(lab.home, "logs", `${sandbox.id}.crash.log`)
    expect(exitCode, stderr).toBe(10)
    expect(sandbox.failure).toMatchObject({
      reason: "packer-crashed",
      message: "Packer crashed: panic: no use for [redacted]",
      hint: `A redacted copy of Packer's crash.log is ${kept}.`,
      runbook: "runbooks/failures/packer-crashed.md"
    })
    expect(stderr).not.toContain(secret)
    expect(stderr).toMatch(/^see: \/.*\/runbooks\/failures\/packer-crashed\.md$/m)
    expect(readFileSync(kept, "utf8")).toContain("panic: no use for [redacted]\n\ngoroutine 1")
    expect(statSync(kept).mode & 0o777).toBe(0o600)
    expect(existsSync(join(folder, "crash.log"))).toBe(false)
    lab.expectNothingLeft(sandbox.id)
    await lab.quiet()
    const telling = lab.files(lab.home).filter((name) => readFileSync(join(lab.home, name)).includes(secret))
    expect(telling).toEqual([])
  })

  it("that panics: an older crash.log of the user stays where it is", async ({ lab }) => {
    lab.speak({ version: "1.6.6", crashes: "panic: again\n" })
    const file = lab.write("template/crash.log", "of another day")
    const { sandbox } = await lab.create("demo").outcome()
    expect(sandbox.failure).toMatchObject({
      reason: "packer-crashed",
      hint: expect.stringContaining("is older than this build")
    })
    expect(existsSync(file)).toBe(true)
  })
})

describe.concurrent("an artifact", () => {
  it("whose place is taken is refused before the build starts", async ({ lab }) => {
    const taken = lab.write("images/demo.qcow2", "another's")
    const { exitCode, sandbox, stderr } = await lab.create("demo", "-i", "output_directory=images").outcome()
    expect(exitCode, stderr).toBe(13)
    expect(sandbox).toMatchObject({
      failure: {
        reason: "output-exists",
        message: `${taken} exists already`,
        hint: expect.stringContaining("-i force=true")
      }
    })
    expect(lab.calls("packer", "build")).toEqual([])
    expect(lab.files(join(lab.folder, "images"))).toEqual(["/demo.qcow2"])
    expect(readFileSync(taken, "utf8")).toBe("another's")
    lab.expectNothingLeft(sandbox.id)
  })

  it("that is a link to a file elsewhere is not published", async ({ lab }) => {
    const elsewhere = lab.write("elsewhere/shadow", "nobody else's business")
    lab.speak({ version: "1.6.6", linksTo: elsewhere })
    const { exitCode, sandbox, stderr } = await lab.create("demo").outcome()
    expect(exitCode, stderr).toBe(10)
    expect(sandbox).toMatchObject({
      artifacts: [],
      failure: {
        reason: "no-artifact",
        message: expect.stringMatching(
          /\/demo, which is a link out of its folder, to .+\/elsewhere\/shadow$/
        ),
        hint: expect.stringContaining("are not published")
      }
    })
    expect(lab.files(lab.artifacts)).toEqual([])
    expect(readFileSync(elsewhere, "utf8")).toBe("nobody else's business")
    lab.expectNothingLeft(sandbox.id)
  })

  it("may be a link to a file inside the template's folder", async ({ lab }) => {
    lab.speak({ version: "1.6.6", linksTo: lab.write("template/made/image", "an image") })
    const { artifacts } = await lab.created("demo")
    expect(artifacts.map(({ path }) => readFileSync(path, "utf8"))).toEqual(["an image"])
  })
})

/** Makes the database that a version from the future would have. */
const fromTheFuture = (file: string) => {
  const database = new BetterSqlite3(file)
  database.exec("INSERT INTO effect_sql_migrations (migration_id, name) VALUES (9999, 'future')")
  database.close()
}

describe.concurrent("an unusable state directory", () => {
  it.for([["list"], create])("is reported if a file is in its place: %j", async (words, { lab }) => {
    writeFileSync(lab.home, "mine")
    const { exitCode, stderr, stdout } = await lab.run(words)
    expect({ exitCode, stdout }).toEqual({ exitCode: 15, stdout: "" })
    expect(stderr).toContain(`error: the state directory ${lab.home} cannot be created`)
    expect(stderr).toContain("\nhint: Set SANDBOXER_HOME")
    expect(readFileSync(lab.home, "utf8")).toBe("mine")
  })

  it.for([["list"], create])(
    "is reported if neither HOME nor SANDBOXER_HOME is set: %j",
    async (words, { lab }) => {
      const { exitCode, stderr, stdout } = await lab.start(words, { HOME: "", SANDBOXER_HOME: "" }).ended
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" })
      expect(stderr).toBe(
        "error: there is no state directory: neither HOME nor SANDBOXER_HOME is set\n" +
          "hint: set SANDBOXER_HOME to a folder of yours\n"
      )
    }
  )

  it.for([["list"], create])(
    "with a damaged database is reported and left unchanged: %j",
    async (words, { lab }) => {
      mkdirSync(lab.home, { mode: 0o700 })
      const file = join(lab.home, "sandboxer.db")
      const bytes = "this is no database ".repeat(500)
      writeFileSync(file, bytes)
      const { exitCode, stderr, stdout } = await lab.run(words)
      expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" })
      expect(stderr).toMatch(/^error: the database .+: file is not a database\nhint: .*backup/)
      expect(readFileSync(file, "utf8")).toBe(bytes)
      expect(lab.calls("packer", "version")).toEqual([])
    }
  )

  it("with the database of a newer version is reported", async ({ lab }) => {
    // A list makes none.
    await lab.created("before")
    await lab.quiet()
    fromTheFuture(join(lab.home, "sandboxer.db"))
    const calls = lab.calls("packer", "version").length
    for (const words of [["list"], create]) {
      const { exitCode, stderr, stdout } = await lab.run(words)
      expect({ exitCode, stdout }).toEqual({ exitCode: 15, stdout: "" })
      expect(stderr).toMatch(/^error: .+ a newer version wrote it .+\nhint: Upgrade sandboxer/)
    }
    expect(lab.calls("packer", "version")).toHaveLength(calls)
  })
})

/** Has a disk of this many bytes for a state directory, for as long as `use` takes; undefined where that may not be. */
const withDisk = async (lab: Lab, bytes: number, use: () => Promise<void>): Promise<boolean> => {
  mkdirSync(lab.home, { mode: 0o700 })
  const options = `size=${bytes},mode=700`
  if (spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", lab.home]).status !== 0) return false
  try {
    await use()
    await lab.quiet()
  } finally {
    execFileSync("umount", ["--lazy", lab.home])
  }
  return true
}

/** Takes all that is free of the disk, to the last byte. */
const fill = (lab: Lab) => {
  const file = join(lab.home, "filled")
  spawnSync("sh", ["-c", 'cat /dev/zero >"$1"', "sh", file])
  return () => rmSync(file)
}

const expectWholeDatabase = (lab: Lab) => {
  const database = new BetterSqlite3(join(lab.home, "sandboxer.db"))
  expect(database.pragma("integrity_check", { simple: true })).toBe("ok")
  database.close()
}

describe.concurrent("a full disk under the state directory", () => {
  const needsMount = "only who may mount can have a small disk"

  it("ends the command before anything begins", async ({ lab, skip }) => {
    const could = await withDisk(lab, 2 ** 21, async () => {
      await lab.created("before")
      await lab.quiet()
      const free = fill(lab)
      const full = await lab.run(create)
      expect(full).toMatchObject({ exitCode: 15, stdout: "" })
      expect(full.stderr).toMatch(/^error: .+\nhint: .*has space left/)
      free()
      expectWholeDatabase(lab)
      expect(await lab.json("list", "--all")).toMatchObject({ items: [{ name: "before" }] })
      await lab.created("demo")
    })
    if (!could) skip(needsMount)
  })

  it("fails the build cleanly if it fills up while Packer runs", async ({ lab, skip }) => {
    const could = await withDisk(lab, 2 ** 21, async () => {
      lab.hold("Provisioning with")
      const creating = lab.create("demo")
      await lab.held("Provisioning with")
      const supervisor = await lab.supervisor()
      const free = fill(lab)
      lab.release("Provisioning with")
      await waitFor("the end of the supervisor", () => !lives(supervisor))
      await waitFor("the end of the build", () => lab.jobCommands().length === 0)
      free()
      expectWholeDatabase(lab)
      const { exitCode, sandbox, stderr } = await creating.outcome()
      expect(exitCode, stderr).toBe(10)
      expect(sandbox).toMatchObject({
        state: "failed",
        artifacts: [],
        failure: { reason: "disk-full", message: expect.stringContaining(`disk of ${lab.home}`) }
      })
      lab.expectNothingLeft(sandbox.id)
    })
    if (!could) skip(needsMount)
  })
})

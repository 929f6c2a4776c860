/** What is attached over a real sshd, as people use it: commands, their input, terminals, and odd login shells. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect } from "@effect/vitest"
import { Sshd, type SshdOptions } from "../support/sshd.js"
import { it, type Lab, type SandboxJson } from "./harness.js"

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

const creating = (...args: ReadonlyArray<string>) => [
  ...["create", "-p", "profile.vm-packer-attach", "-i", "host=builder", "-o", "json"],
  ...args
]
const withProject = ["-i", "project=project"]

/** Attached to a good end. */
const attached = async (lab: Lab, ...args: ReadonlyArray<string>) => {
  const { exitCode, stderr, stdout } = await lab.run(creating(...args))
  expect(exitCode, stderr).toBe(0)
  const sandbox = JSON.parse(stdout) as SandboxJson
  return { ...sandbox, workdir: sandbox.endpoint?.workdir ?? "", stderr }
}

const nasty = [
  ...["", " ", "a b", "it's", '"quoted"', "two\nlines\n", "\ttab\r", "-n", "--", "-", "--help", "~", "*"],
  ...["$HOME `id` $(id) ; & | > <", "!history \\ \\\\ %s \\n", "ÁÈ ’ 漢字 \u{1f600}", "a=b", "#"]
]
const between = (words: ReadonlyArray<string>) => words.map((word) => `<${word}>`).join("")

describe("exec", () => {
  it("passes arguments unchanged and leaves no file on the machine", async ({ lab }) => {
    const sshd = await builder(lab)
    const { name } = await attached(lab, ...withProject)
    const printed = await lab.run(["exec", name, "--", "printf", "<%s>", ...nasty])
    expect(printed).toEqual({ exitCode: 0, signal: null, stdout: between(nasty), stderr: "" })
    expect(fs.readdirSync(join(sshd.home, ".sandboxer/run"))).toEqual([])
  })

  it("passes stdin through byte for byte", async ({ lab }) => {
    await builder(lab)
    const { name } = await attached(lab, ...withProject)
    const text = `x\n${"line\n".repeat(200_000)}no end of line`
    const read = await lab.startReading(text, ["exec", name, "--", "cat"]).ended
    expect({ exitCode: read.exitCode, same: read.stdout === text }).toEqual({ exitCode: 0, same: true })
    const bytes = Uint8Array.from({ length: 512 }, (_, index) => index % 256)
    const summed = await lab.startReading(bytes, ["exec", name, "--", "od", "-An", "-v", "-tu1"]).ended
    expect(summed.stdout.trim().split(/\s+/).map(Number)).toEqual([...bytes])
    // Who reads nothing is not waited for.
    expect((await lab.startReading(text, ["exec", name, "--", "true"]).ended).exitCode).toBe(0)
  })

  it("exits with the command's exit code, including 255", async ({ lab }) => {
    const sshd = await builder(lab)
    const { name } = await attached(lab, ...withProject)
    const sh = (line: string) => lab.run(["exec", name, "--", "sh", "-c", line])
    for (const exitCode of [0, 1, 126, 254, 255]) {
      expect(await sh(`echo out; echo err >&2; exit ${exitCode}`)).toMatchObject({
        exitCode,
        stdout: "out\n",
        stderr: "err\n"
      })
    }
    expect((await sh("kill -9 $$")).exitCode).toBe(137)
    const missing = await lab.run(["exec", name, "--", "no-such-program"])
    expect(missing.exitCode).toBe(127)
    expect(missing.stderr).toContain("no-such-program")
    await sshd.stop()
    const lost = await sh("exit 0")
    expect(lost.exitCode).toBe(255)
    expect(lost.stderr).toMatch(/^error: builder cannot be reached: .*\nhint: /)
  })

  it("reports a lost connection differently from a command that exits with 255", async ({ lab }) => {
    const sshd = await builder(lab)
    const { name } = await attached(lab, ...withProject)
    const running = lab.start(["exec", name, "--", "sh", "-c", "echo begun; exec sleep 1000"])
    await running.printed("begun")
    await sshd.cut()
    const { exitCode, stderr } = await running.ended
    expect(exitCode).toBe(255)
    expect(stderr).toMatch(/^error: the connection to builder was lost\nhint: /)
  })
})

describe("ssh", () => {
  it("opens a terminal of the right size that passes keys through", async ({ lab }) => {
    await builder(lab)
    const { name, workdir } = await attached(lab, ...withProject)
    const terminal = lab.startTyping(["ssh", name])
    // What is printed is put together by the shell, so that it is told from what is typed.
    terminal.type("stty -echo; tty; stty size; pwd; echo 'rea''dy'\r")
    await terminal.printed("ready")
    terminal.type("echo 'run''ning'; sleep 1000; echo \"slept $?\"\r")
    await terminal.printed("running")
    terminal.type("\x03")
    terminal.type("echo 'st''ill'\r")
    await terminal.printed("still")
    terminal.type("exit 3\r")
    const { exitCode, stdout } = await terminal.ended
    expect(exitCode, stdout).toBe(3)
    expect(stdout).toMatch(/\/dev\/pts\/\d+\r\n/)
    expect(stdout).toContain("23 91\r\n")
    expect(stdout).toContain(`${workdir}\r\n`)
    expect(stdout).not.toContain("slept 0")
  })

  it("reads commands from stdin when there is no terminal", async ({ lab }) => {
    await builder(lab)
    const { name, workdir } = await attached(lab, ...withProject)
    const { exitCode, stdout } = await lab.startReading("pwd; tty; exit 4\n", ["ssh", name]).ended
    expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: `${workdir}\nnot a tty\n` })
  })
})

/** How sshd is told of another login shell, with a greeting or without. */
const loginShell = (...greeting: ReadonlyArray<string>): SshdOptions => {
  const shell = fileURLToPath(new URL("standin/login-shell.js", import.meta.url))
  const words = [process.execPath, shell, ...greeting].map((word) => `'${word}'`)
  return { config: [`ForceCommand exec ${words.join(" ")}`] }
}

describe("a login shell other than sh", () => {
  it("gets no syntax that it may not know", async ({ lab }) => {
    await builder(lab, loginShell())
    const command = 'echo "it\'s $((1+1))" && sleep 3 && cat *.txt >out'
    const made = await attached(
      lab,
      ...withProject,
      "-i",
      `command=${command}`,
      "-i",
      "collect=out",
      "-i",
      "into=results"
    )
    expect(lab.log(made)).toBe("it's 2\n")
    expect(fs.readFileSync(join(lab.folder, "results/out"), "utf8")).toBe("a\n")
    const printed = await lab.run(["exec", made.name, "--", "printf", "<%s>", ...nasty])
    expect(printed).toMatchObject({ exitCode: 0, stdout: between(nasty) })
    expect((await lab.run(["exec", made.name, "--", "sh", "-c", "exit 255"])).exitCode).toBe(255)
  })

  it("may print a greeting; a greeting that breaks rsync is reported", async ({ lab }) => {
    await builder(lab, loginShell("Welcome to the build machine"))
    const made = await attached(lab, "-i", "command=echo built")
    expect(lab.log(made)).toBe("built\n")
    const { exitCode, stderr } = await lab.run(creating(...withProject))
    expect(exitCode).toBe(15)
    expect(stderr).toMatch(
      /error: project: the login shell of builder prints .*rsync.*\nhint: .*start-up files/
    )
  })
})

/** Words before those of a program that is to find this folder as its user's home, as OpenSSH finds it; or why not. */
const withHome = (lab: Lab): ReadonlyArray<string> | string => {
  const { uid } = userInfo()
  const own = new RegExp(`^([^:]*:[^:]*:${uid}:[^:]*:[^:]*):[^:]*:`, "m")
  const passwd = lab.write(
    "passwd",
    fs.readFileSync("/etc/passwd", "utf8").replace(own, (_, before: string) => `${before}:${lab.folder}:`)
  )
  const line = 'mount --bind "$0" /etc/passwd && exec "$@"'
  const words = ["unshare", "--mount", "sh", "-c", line, passwd]
  return spawnSync("unshare", [...words.slice(1), "true"]).status === 0
    ? words
    : "only root may have another /etc/passwd"
}

describe("an ssh configuration that accepts no new host key", () => {
  it("is respected: the host is refused until its key is known", async ({ lab, skip }) => {
    const words = withHome(lab)
    if (typeof words === "string") return skip(words)
    const sshd = await builder(lab)
    lab.write(".ssh/config", "StrictHostKeyChecking yes\n")
    const refused = await lab.startBy(words, creating()).ended
    expect(refused.exitCode).toBe(4)
    expect(refused.stderr).toMatch(
      /error: builder: the key of builder is not known.*\nhint: .*by hand: ssh -p \d+ /
    )
    expect(fs.existsSync(join(lab.home, "known_hosts"))).toBe(false)
    const [type, key] = fs.readFileSync(sshd.file("host_key.pub"), "utf8").split(" ")
    lab.write(".ssh/known_hosts", `[127.0.0.1]:${sshd.port} ${type} ${key}\n`)
    const known = await lab.startBy(words, creating()).ended
    expect(known.exitCode, known.stderr).toBe(0)
  })
})

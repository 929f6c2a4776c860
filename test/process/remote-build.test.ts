/** `make remote-build` from end to end: make, the real command, ssh and rsync, and a build machine of a test's own. */
import * as fs from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, describe, expect } from "@effect/vitest"
import { root, run } from "../e2e/harness.js"
import { waitFor } from "../support/patience.js"
import { Sshd } from "../support/sshd.js"
import { it, type Lab, type SandboxJson } from "./harness.js"

// Several at a time.

const started: Array<Sshd> = []
afterAll(async () => {
  for (const sshd of started) await sshd.dispose()
})

/** As cabal leaves it: programs of this plan and of an older version, a test, and a tool that it keeps elsewhere. */
const cabal = `
case $1 in --version) echo 'cabal-install version 3.10'; exit ;; esac
[ "$*" = 'build all' ] || exit 64
[ ! -e broken ] || { echo 'Hello.hs:1:1: error: broken' >&2; exit 1; }
built=dist-newstyle/build/x86_64-linux/ghc-9.4.7
[ ! -e "$built" ] || echo Up to date
for program in hello-1/x/hello hello-2/x/hello hello-2/x/t hello-2/t/spec; do
  folder="$built/$program/build/\${program##*/}"
  mkdir -p "$folder" dist-newstyle/cache
  printf '#!/bin/sh\\necho %s\\n' "$program" >"$folder/\${program##*/}"
  chmod +x "$folder/\${program##*/}"
done
{
  printf '{"cabal-version":"3.10","install-plan":[{"bin-file":"%s/.cabal/bin/alex"}' "$HOME"
  for program in hello/x/hello hello/x/t hello/t/spec; do
    printf ',{"style":"local","bin-file":"%s"}' "$(pwd -P)/$built/hello-2/\${program#*/}/build/\${program##*/}/\${program##*/}"
  done
  printf ']}'
} >dist-newstyle/cache/plan.json`

const stack = `
case $1 in --version) echo 'Version 2.9'; exit ;; esac
[ "$1 $2 $3" = '--no-terminal build --copy-bins' ] || exit 64
printf '#!/bin/sh\\necho by stack\\n' >"\${4#--local-bin-path=}/hello"
chmod +x "\${4#--local-bin-path=}/hello"`

/** A build machine with what Haskell is built with, a project in a folder whose name has blanks, and make. */
const machine = async (lab: Lab, way: "sandboxer" | "legacy" = "sandboxer") => {
  lab.script("tools/cabal", cabal)
  lab.script("tools/stack", stack)
  lab.script("tools/ghc", "echo 'The Glorious Glasgow Haskell Compilation System, version 9.4.7'")
  if (way === "sandboxer") {
    lab.script("bin/sandboxer", `exec '${process.execPath}' '${join(root, "dist/bin.js")}' "$@"`)
  }
  const sshd = await Sshd.start({ path: `${join(lab.folder, "tools")}:/usr/bin:/bin` })
  started.push(sshd)
  lab.write("Makefile", `include ${join(root, "scripts/remote-build.mk")}\n`)
  lab.write("my project/hello.cabal", "name: hello\n")
  lab.write("my project/Hello.hs", "main = pure ()\n")
  lab.write("my project/dist-newstyle/of-this-machine", "never sent\n")
  const { host, identityFile, port, user } = sshd.connection
  const variables = {
    BUILD_HOST: host,
    BUILD_PORT: String(port),
    BUILD_USER: String(user),
    BUILD_IDENTITY: String(identityFile)
  }
  const project = join(lab.folder, "my project")
  const results = join(project, "build-results")
  const make = (variablesOfMake: ReadonlyArray<string> = [], env: Readonly<Record<string, string>> = {}) =>
    run("make", ["--no-print-directory", "remote-build", "PROJECT=my project", ...variablesOfMake], {
      cwd: lab.folder,
      env: {
        ...lab.env,
        PATH: way === "sandboxer" ? (lab.env.PATH ?? "") : "/usr/bin:/bin",
        MAKEFLAGS: "",
        MAKELEVEL: "",
        ...variables,
        ...env
      }
    })
  const result = () =>
    JSON.parse(fs.readFileSync(join(results, "remote-build.json"), "utf8")) as {
      readonly apiVersion: string
      readonly kind: string
      readonly way: string
      readonly exitCode: number
      readonly sandbox: SandboxJson | null
    }
  const built = async (program: string) =>
    (await run(join(results, "haskell-build/bin", program), [])).stdout.trim()
  return { sshd, project, results, make, result, built }
}

/** The processes here of connections that commands share, by what they call themselves. */
const connections = (lab: Lab): ReadonlyArray<number> =>
  fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith(`ssh: ${lab.home}/`)
      } catch {
        return false
      }
    })
    .map(Number)

describe.concurrent("make remote-build", () => {
  it("builds with cabal on the machine, collects the programs, and is incremental", async ({ lab }) => {
    const { built, make, project, result, results, sshd } = await machine(lab)
    const first = await make()
    expect(first, first.stderr).toMatchObject({ exitCode: 0 })
    expect(result()).toMatchObject({
      apiVersion: "sandboxer/v1",
      kind: "RemoteBuild",
      way: "sandboxer",
      exitCode: 0,
      sandbox: { kind: "Sandbox", profile: "profile.vm-haskell-build", state: "ready" }
    })
    // Of this version's programs each, and neither a test nor what cabal keeps elsewhere.
    expect(fs.readdirSync(join(results, "haskell-build/bin")).sort()).toEqual(["hello", "t"])
    expect(await built("hello")).toBe("hello-2/x/hello")
    const workdir = result().sandbox?.endpoint?.workdir ?? ""
    expect(dirname(workdir)).toBe(join(sshd.home, ".sandboxer/work"))
    expect(fs.existsSync(join(workdir, "dist-newstyle/of-this-machine"))).toBe(false)
    expect(JSON.parse(fs.readFileSync(join(results, "receipt.json"), "utf8"))).toMatchObject({
      exitCode: 0,
      tools: [
        { name: "ghc", version: "The Glorious Glasgow Haskell Compilation System, version 9.4.7" },
        { name: "cabal", version: "cabal-install version 3.10" },
        { name: "stack", version: "Version 2.9" }
      ]
    })

    // Nothing has changed but the results, which are not the project's.
    const second = await make()
    expect(second, second.stderr).toMatchObject({ exitCode: 0 })
    expect(second.stderr).toContain("sent 0 files, deleted 0")
    expect(lab.log(result().sandbox as SandboxJson)).toContain("Up to date\n")
    expect(result().sandbox?.endpoint?.workdir).toBe(workdir)

    fs.rmSync(join(project, "Hello.hs"))
    expect((await make()).stderr).toContain("deleted 1")
  })

  it("builds with stack if there is a stack.yaml, in the folder that BUILD_DIR names", async ({ lab }) => {
    const { built, make, result, sshd } = await machine(lab)
    lab.write("my project/stack.yaml", "resolver: lts-21.0\n")
    const { exitCode, stderr } = await make(["BUILD_DIR=src/hel lo"])
    expect(exitCode, stderr).toBe(0)
    expect(await built("hello")).toBe("by stack")
    expect(result().sandbox?.endpoint?.workdir).toBe(join(sshd.home, "src/hel lo"))
  })

  it("accepts another command and other results, passed unchanged", async ({ lab }) => {
    const { make, results } = await machine(lab)
    const { exitCode, stderr } = await make([
      `BUILD_COMMAND=mkdir -p out; printf '%s\\n' "$HOME" "it's" >'out/a b.txt'`,
      "BUILD_COLLECT=out/*.txt",
      "BUILD_RESULT=how it went.json"
    ])
    expect(exitCode, stderr).toBe(0)
    expect(fs.readFileSync(join(results, "out/a b.txt"), "utf8")).toMatch(/\/there\nit's\n$/)
    expect(JSON.parse(fs.readFileSync(join(lab.folder, "how it went.json"), "utf8"))).toMatchObject({
      exitCode: 0
    })
  })

  it("fails with the build's last lines; the receipt has the exit code that make hides", async ({ lab }) => {
    const { make, project, result } = await machine(lab)
    lab.write("my project/broken", "")
    const failed = await make()
    expect(failed.exitCode).toBe(2)
    expect(failed.stderr).toContain("Hello.hs:1:1: error: broken")
    expect(failed.stderr).toContain("remote-build: exit code 10")
    expect(result()).toMatchObject({ exitCode: 10, sandbox: { failure: { reason: "command-failed" } } })

    fs.rmSync(join(project, "broken"))
    fs.rmSync(join(project, "hello.cabal"))
    const none = await make()
    expect(none.exitCode).toBe(2)
    expect(none.stderr).toContain("this is no Haskell project")

    const nobody = await make(["BUILD_PORT=1"])
    expect(nobody.exitCode).toBe(2)
    expect(result()).toMatchObject({ exitCode: 14, sandbox: { failure: { reason: "host-unreachable" } } })
  })

  it("survives a lost connection and a restarted sshd without losing or doubling a line", async ({ lab }) => {
    const { make, result, results, sshd } = await machine(lab)
    const command =
      'i=0; while [ ! -e go ]; do i=$((i+1)); echo "line $i"; echo $i >count; sleep 0.05; done; mkdir out; cp count out/'
    const making = make([`BUILD_COMMAND=${command}`, "BUILD_COLLECT=out/count"])
    const work = join(sshd.home, ".sandboxer/work")
    const countFile = () => join(work, fs.readdirSync(work)[0] ?? "", "count")
    const count = () => {
      try {
        return Number(fs.readFileSync(countFile(), "utf8"))
      } catch {
        return 0
      }
    }
    const reaches = (line: number) => waitFor(`line ${line}`, () => count() >= line)
    await reaches(5)
    const masters = connections(lab)
    expect(masters).not.toEqual([])
    for (const pid of masters) process.kill(pid, "SIGKILL")
    await reaches(count() + 10)
    await sshd.stop()
    await reaches(count() + 20)
    await sshd.start()
    await reaches(count() + 10)
    fs.writeFileSync(join(dirname(countFile()), "go"), "")
    const { exitCode, stderr } = await making
    expect(exitCode, stderr).toBe(0)
    const lines = Array.from({ length: count() }, (_, index) => `line ${index + 1}\n`)
    expect(lab.log(result().sandbox as SandboxJson)).toBe(lines.join(""))
    expect(result()).toMatchObject({ exitCode: 0, sandbox: { state: "ready" } })
    expect(fs.readFileSync(join(results, "out/count"), "utf8")).toBe(`${count()}\n`)
    expect(sshd.jobProcesses()).toEqual([])
  })

  it("without sandboxer on the PATH uses the old way, with the same results", async ({ lab }) => {
    const { built, make, result, results, sshd } = await machine(lab, "legacy")
    // It knows the host as any ssh does, or asks; nobody is there to be asked.
    lab.write("known_hosts", `[127.0.0.1]:${sshd.port} ${fs.readFileSync(sshd.file("host_key.pub"), "utf8")}`)
    const ssh = `exec /usr/bin/ssh -F none -o UserKnownHostsFile='${join(lab.folder, "known_hosts")}' "$@"`
    lab.script("old/ssh", ssh)
    const path = { PATH: `${join(lab.folder, "old")}:/usr/bin:/bin` }
    // sshd lets it begin in the home of who runs the test: that is left alone.
    const there = join(sshd.home, "build/the project")
    const old = () => make([`BUILD_DIR=${there}`], path)
    const { exitCode, stderr } = await old()
    expect(exitCode, stderr).toBe(0)
    expect(stderr).toMatch(/^deprecated: .*$/m)
    expect(fs.readdirSync(join(results, "haskell-build/bin")).sort()).toEqual(["hello", "t"])
    expect(await built("hello")).toBe("hello-2/x/hello")
    expect(fs.existsSync(join(there, "Hello.hs"))).toBe(true)
    expect(result()).toMatchObject({ way: "legacy", exitCode: 0, sandbox: null })
    lab.write("my project/broken", "")
    expect((await old()).exitCode).toBe(2)
    expect(result()).toMatchObject({ exitCode: 1 })
  })
})

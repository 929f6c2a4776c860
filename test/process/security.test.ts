/** What docs/security.md says of a build, while it runs and when it has ended. */
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync
} from "node:fs"
import { delimiter, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { makeWorkbench, type Output, type Workbench } from "../e2e/harness.js"
import { until } from "./until.js"

const token = 'correct "horse", battery'
const password = "first line\nsecond line"
const pin = "abc"

/** Says all that it knows, waits at the gate, and makes an image. */
const packer = `#!/bin/sh
case $1 in
  version) echo 0,,version,1.16.0 ;;
  inspect)
    for name in token password pin; do echo "0,,template-variable,$name,,0"; done
    echo 0,,template-builder,image,file
    ;;
  build)
    for word; do case $word in -var-file=*) variables=\${word#-var-file=} ;; esac; done
    echo "0,,ui,say,==> image: variables $(cat "$variables")"
    echo "0,,ui,say,==> image: url https://example.org/?q=correct%20%22horse%22%2C%20battery"
    echo "0,,ui,say,==> image: base64 $(printf %s "$TOKEN" | base64)"
    echo "0,,ui,say,==> image: environment \${TOKEN:+has it}"
    echo "0,,ui,say,==> image: second line and no more"
    : <gate
    echo image >image.img
    echo 0,image,artifact,0,builder-id,packer.file
    echo 0,image,artifact,0,file,0,image.img
    echo 0,image,artifact,0,end
    ;;
esac
`

const profile = `id: profile.secrets
extension: ext.vm-packer
mode: build
inputs:
  packer_template: { default: ../template.pkr.hcl }
  vm_name: { default: secrets }
  token: { type: secret, required: true, variable: true }
  password: { type: secret, required: true, variable: true }
  pin: { type: secret, required: true, variable: true }
`

let bench: Workbench
const environment = () => ({
  PATH: [join(bench.folder, "bin"), process.env.PATH].join(delimiter),
  TOKEN: token,
  PIN: pin
})
const create = (...args: ReadonlyArray<string>) =>
  bench.sandboxer(["create", "--profile", "profile.secrets", ...args], {
    cwd: bench.folder,
    env: environment()
  })
const given = ["-i", "token=env:TOKEN", "-i", "password=@password", "-i", "pin=env:PIN"]

beforeAll(() => {
  bench = makeWorkbench()
  for (const name of ["bin", "profiles"]) mkdirSync(join(bench.folder, name))
  writeFileSync(join(bench.folder, "bin/packer"), packer)
  chmodSync(join(bench.folder, "bin/packer"), 0o755)
  writeFileSync(join(bench.folder, "profiles/secrets.yaml"), profile)
  writeFileSync(join(bench.folder, "template.pkr.hcl"), "# what the Packer of this test takes for one\n")
  writeFileSync(join(bench.folder, "password"), `${password}\n`)
  execFileSync("mkfifo", [join(bench.folder, "gate")])
})
afterAll(() => bench.remove())

/** All that is in the state directory, by path in it. */
const files = () =>
  ["", ...readdirSync(bench.home, { recursive: true, encoding: "utf8" })].flatMap((name) => {
    const info = statSync(join(bench.home, name), { throwIfNoEntry: false })
    return info === undefined ? [] : [{ name, isFile: info.isFile(), mode: info.mode & 0o777 }]
  })

/** Files that have a secret in them, however it is written. */
const telling = () => {
  const forms = [token, "second line", JSON.stringify(token).slice(1, -1), encodeURIComponent(token)].concat(
    Buffer.from(token).toString("base64").slice(0, -2)
  )
  return files()
    .filter(({ isFile, name }) => {
      const text = isFile ? readFileSync(join(bench.home, name), "utf8") : ""
      return forms.some((form) => text.includes(form))
    })
    .map(({ name }) => name)
}

/** Inodes of the sockets that a process has. */
const sockets = (pid: number) =>
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
    } catch {
      // It was closed meanwhile.
      return []
    }
  })

describe("a build with secrets", () => {
  let id: string
  let raw: string
  beforeAll(async () => {
    const created = await create(...given, "--detach", "-q")
    expect(created).toMatchObject({ exitCode: 0 })
    id = created.stdout.trim()
    raw = join("jobs", id, "1/build/raw.log")
    const said = () =>
      existsSync(join(bench.home, raw)) && readFileSync(join(bench.home, raw), "utf8").includes("no more")
    await Effect.runPromise(until("the build to say all it knows", said))
  })

  it("while it runs, every file is private and secrets are only where they must be", () => {
    const open = files().filter(({ mode }) => (mode & 0o077) !== 0)
    expect(open).toEqual([])
    expect(telling().toSorted()).toEqual(
      [raw, join("jobs", id, "1/variables.json"), join("jobs", id, "secrets.json")].toSorted()
    )
  })

  it("while it runs, no process list shows a secret and no socket is open", () => {
    const running = [...bench.supervisors(), ...bench.jobProcesses()]
    expect(bench.supervisors().length).toBe(1)
    expect(bench.jobProcesses().length).toBeGreaterThan(0)
    expect(running.filter(({ command }) => /correct|second line/.test(command))).toEqual([])
    const internet = ["tcp", "tcp6", "udp", "udp6"]
      .map((protocol) => `/proc/net/${protocol}`)
      .filter(existsSync)
      .flatMap((table) => readFileSync(table, "utf8").split("\n").slice(1))
      .map((line) => line.trim().split(/\s+/)[9])
    expect(running.flatMap(({ pid }) => sockets(pid)).filter((inode) => internet.includes(inode))).toEqual([])
  })

  describe("after its end", () => {
    let ended: Output
    let log: string
    beforeAll(async () => {
      writeFileSync(join(bench.folder, "gate"), "")
      ended = await bench.sandboxer(["wait", id, "-o", "json"])
      log = (await bench.sandboxer(["logs", id])).stdout
    })

    it("no kept file has a secret, and only images are readable by others", () => {
      expect(ended).toMatchObject({ exitCode: 0, stderr: "" })
      expect(telling()).toEqual([])
      expect(readdirSync(join(bench.home, "jobs"))).toEqual([])
      const open = files().filter(({ mode }) => (mode & 0o077) !== 0)
      expect(open.length).toBeGreaterThan(0)
      expect(open.filter(({ name }) => !/^artifacts(\/|$)/.test(name))).toEqual([])
      expect(open.filter(({ isFile, mode }) => mode !== (isFile ? 0o644 : 0o755))).toEqual([])
      expect(statSync(bench.home).mode & 0o777).toBe(0o700)
    })

    it("the log has everything that was printed, with secrets redacted", () => {
      expect(log).toContain('"token":"[redacted]"')
      expect(log).toContain("url https://example.org/?q=[redacted]")
      expect(log).toMatch(/base64 \[redacted\]/)
      expect(log).toContain("[redacted] and no more")
    })

    it("values too short to redact are reported, and Packer gets the environment", () => {
      expect(log).toContain('"pin":"abc"')
      expect(log).toContain("environment has it")
    })
  })
})

it("a secret given literally is refused and not repeated in any output", async () => {
  const refused = await create(...given.slice(2), "-i", `token=${token}`)
  expect(refused).toMatchObject({ exitCode: 2, stdout: "" })
  expect(refused.stderr).toContain("token is a secret")
  expect(refused.stderr).not.toContain("horse")
  expect(telling()).toEqual([])
})

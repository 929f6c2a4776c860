import { createHash, randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { HostPath } from "../../src/domain/HostPath.js"
import { cookie, type HostShape, Hosts, type Job } from "../../src/hosts/Host.js"
import * as ByPlacement from "../../src/hosts/placement/HostsByPlacement.js"
import { processesWith } from "../../src/internal/Proc.js"
import { layerHome } from "../../src/settings/Settings.js"
import { timeLimit } from "../support/patience.js"
import { Sshd } from "../support/sshd.js"
import { lives, until } from "./until.js"

let sshd: Sshd
let here: string
let folder: HostPath
beforeAll(async () => {
  sshd = await Sshd.start()
})
afterAll(() => sshd.dispose())
beforeEach(() => {
  here = fs.mkdtempSync(join(tmpdir(), "sandboxer-ssh-"))
  folder = HostPath(join(sshd.home, "work", randomBytes(4).toString("hex")))
  fs.mkdirSync(folder, { recursive: true })
})
afterEach(async () => {
  await sshd.cut()
  fs.rmSync(here, { recursive: true, force: true })
})

const hostOf = (server: Sshd, more: Partial<Sshd["connection"]> = {}) =>
  Hosts.pipe(
    Effect.flatMap((hosts) => hosts.get({ host: "kvm1", connection: { ...server.connection, ...more } })),
    Effect.provide(ByPlacement.layer),
    Effect.provide(layerHome(here))
  )

const test = (use: (host: HostShape) => Effect.Effect<void, unknown>) => () =>
  Effect.flatMap(
    Effect.suspend(() => hostOf(sshd)),
    use
  )

const at = (name: string) => HostPath(join(folder, name))
const read = (name: string) => fs.readFileSync(at(name), "utf8")
const appears = (name: string) => until(name, () => fs.existsSync(at(name)) && read(name) !== "")
const sh = (line: string, ...args: ReadonlyArray<string>): Job => ({
  folder,
  program: "sh",
  args: ["-c", line, "sh", ...args],
  stop: "group"
})
const followed = (host: HostShape, from = 0) =>
  Effect.map(Stream.runCollect(host.followJob(folder, from)), (pieces) =>
    Buffer.concat(Chunk.toReadonlyArray(pieces).map(({ bytes }) => bytes)).toString()
  )

const nasty = [
  "",
  " ",
  "a b",
  "it's",
  '"quoted"',
  "two\nlines\n",
  "\ttab\r",
  "-n",
  "--",
  "$HOME `id` $(id) ; & | > <",
  "!history \\ \\\\ %s \\n",
  "*",
  "~",
  "ÁÈ ’ 漢字 \u{1f600}",
  "sandboxer-end 0"
]

describe("a command over SSH", () => {
  it.live(
    "gets its arguments, environment and folder unchanged",
    test((host) =>
      Effect.gen(function* () {
        const where = at("a 'folder' of\nits own")
        yield* host.makeFolder(where)
        const told = yield* host.run({
          program: "sh",
          args: ["-c", 'pwd; printf "<%s>" "$@"; printf "[%s]" "$WORD"', "sh", ...nasty],
          cwd: where,
          env: { WORD: nasty.join("") }
        })
        expect(told).toEqual({
          exitCode: 0,
          stdout: `${where}\n${nasty.map((word) => `<${word}>`).join("")}[${nasty.join("")}]`,
          stderr: ""
        })
      })
    )
  )

  it.live(
    "returns its own exit code, even 255, with both outputs apart",
    test((host) =>
      Effect.gen(function* () {
        for (const brief of [false, true]) {
          for (const exitCode of [0, 1, 97, 127, 254, 255]) {
            const line = `echo out; echo err >&2; exit ${exitCode}`
            expect(yield* host.run({ program: "sh", args: ["-c", line] }, { brief })).toEqual({
              exitCode,
              stdout: "out\n",
              stderr: "err\n"
            })
          }
          const killed = yield* host.run({ program: "sh", args: ["-c", "kill -9 $$"] }, { brief })
          expect(killed.exitCode).toBe(137)
          expect((yield* host.run({ program: "cat", args: [] }, { brief })).stdout).toBe("")
        }
      })
    )
  )

  it.live(
    "may print more than is kept",
    test((host) =>
      Effect.gen(function* () {
        const { exitCode, stdout } = yield* host.run({
          program: "sh",
          args: ["-c", "head -c 10000000 /dev/zero | tr '\\0' x; head -c 2000000 /dev/zero >&2; exit 9"]
        })
        expect([exitCode, stdout.length]).toEqual([9, 1024 * 1024])
      })
    )
  )

  it.live(
    "that does not exist is told apart from one that fails",
    test((host) =>
      Effect.gen(function* () {
        for (const brief of [false, true]) {
          const error = yield* Effect.flip(host.run({ program: "no-such-program", args: [] }, { brief }))
          expect(error).toMatchObject({ reason: "program-missing", host: "kvm1" })
        }
      })
    )
  )

  it.live(
    "leaves nothing there when it is interrupted or times out",
    test((host) =>
      Effect.gen(function* () {
        const line = `echo $$ >${at("pid")}; sleep 1000 & wait`
        const running = yield* Effect.fork(host.run({ program: "sh", args: ["-c", line] }))
        yield* appears("pid")
        const pid = Number(read("pid"))
        yield* Fiber.interrupt(running)
        yield* until("its end", () => !lives(pid))
        const late = yield* Effect.flip(host.run({ program: "sleep", args: ["1000"] }, { timeoutSeconds: 1 }))
        expect(late.reason).toBe("no-answer")
      })
    )
  )

  it.live(
    "shows no variable on a command line",
    test((host) =>
      Effect.gen(function* () {
        const { stdout } = yield* host.run({
          program: "sh",
          args: ["-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"],
          env: { SECRET: "open-sesame" }
        })
        expect(stdout).toContain("cmdline")
        expect(stdout).not.toContain("open-sesame")
      })
    )
  )

  /** Which shell there runs a command: the parent of the one that was made for it. */
  const shellOf = (host: HostShape, wait = "") =>
    Effect.map(
      host.run({ program: "sh", args: ["-c", `${wait} cut -d " " -f 4 "/proc/$PPID/stat"`] }),
      ({ stdout }) => Number(stdout)
    )

  it.live(
    "shares the shell of the command before it, never with a concurrent one; an idle shell ends soon",
    test((host) =>
      Effect.gen(function* () {
        const shell = yield* shellOf(host)
        yield* host.makeFolder(at("made"))
        expect(yield* shellOf(host)).toBe(shell)
        const together = yield* Effect.all([shellOf(host, "sleep 0.2;"), shellOf(host, "sleep 0.2;")], {
          concurrency: "unbounded"
        })
        expect(new Set(together).size).toBe(2)
        for (const one of [shell, ...together]) yield* until("its end", () => !lives(one))
        expect(yield* shellOf(host)).toBeGreaterThan(0)
      })
    )
  )

  /** Processes that a session of the server has there. */
  const inSessions = () =>
    sshd
      .sessions()
      .flatMap((pid) => fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" "))
      .flatMap((pid) => (pid === "" ? [] : [Number(pid)]))

  it.live(
    "uses a shell that was prepared, which ends soon if no command comes",
    test((host) =>
      Effect.gen(function* () {
        // Where the machine has too much to do, it may be gone before it is asked.
        const shell = yield* Effect.gen(function* () {
          yield* host.prepare
          const prepared = yield* until("a shell there", () => inSessions()[0])
          return (yield* shellOf(host)) === prepared ? prepared : yield* Effect.fail("too late")
        }).pipe(Effect.retry({ times: 20 }))
        yield* until("its end", () => !lives(shell))
        yield* host.prepare
        const unused = yield* until("a shell there", () => inSessions()[0])
        yield* until("its end", () => !lives(unused))
      })
    )
  )

  it.live(
    "is run again, or started in a new shell, if its shell was lost or ended",
    test((host) =>
      Effect.gen(function* () {
        const before = yield* shellOf(host)
        yield* Effect.promise(() => sshd.cut())
        const after = yield* shellOf(host)
        expect(after).not.toBe(before)
        const interrupted = yield* Effect.fork(shellOf(host, `touch ${at("begun")}; sleep 1000;`))
        yield* until("its begin", () => fs.existsSync(at("begun")))
        yield* Fiber.interrupt(interrupted)
        yield* until("its end", () => !lives(after))
        expect(yield* shellOf(host)).not.toBe(after)
      })
    )
  )

  it.live(
    "does not wait for a child that stays and prints",
    test((host) =>
      Effect.gen(function* () {
        fs.writeFileSync(at("daemon"), `#!/bin/sh\n(sleep 0.1; echo late; echo late >&2) &\necho early\n`, {
          mode: 0o700
        })
        const [daemon, other] = yield* Effect.all([
          host.run({ program: at("daemon"), args: [] }),
          host.run({ program: "sh", args: ["-c", "sleep 0.3; echo other"] })
        ])
        expect(daemon).toMatchObject({ exitCode: 0, stdout: "early\nlate\n" })
        expect(other).toEqual({ exitCode: 0, stdout: "other\n", stderr: "" })
      })
    )
  )

  it.live("many commands share one connection, even more than the server's session limit", () =>
    Effect.acquireUseRelease(
      Effect.promise(() => Sshd.start({ config: ["MaxSessions 2"] })),
      (small) =>
        Effect.gen(function* () {
          const host = yield* hostOf(small)
          const echo = (word: number) => host.run({ program: "echo", args: [String(word)] })
          yield* echo(0)
          yield* echo(1)
          expect(small.sessions().length).toBe(1)
          const lines = yield* Effect.forEach([1, 2, 3, 4, 5], echo, { concurrency: "unbounded" })
          expect(lines.map(({ stdout }) => stdout.trim())).toEqual(["1", "2", "3", "4", "5"])
        }),
      (small) => Effect.promise(() => small.dispose())
    )
  )
})

describe("a host over SSH", () => {
  it.live("reports the login and the host key, and remembers the key", () =>
    Effect.gen(function* () {
      const host = yield* hostOf(sshd)
      const { host: address, keyFingerprint, port, user } = yield* host.identity
      expect([address, port, user]).toEqual(["127.0.0.1", sshd.port, sshd.connection.user])
      expect(keyFingerprint).toBe(sshd.fingerprint)
      expect(host.home).toBe(join(sshd.home, ".sandboxer"))
      expect(fs.statSync(host.home).mode & 0o777).toBe(0o700)
      expect(fs.statSync(join(here, "known_hosts")).mode & 0o777).toBe(0o600)
      expect(fs.statSync(join(here, "ssh")).mode & 0o777).toBe(0o700)
    })
  )

  it.live("that does not answer is unreachable", () =>
    Effect.acquireUseRelease(
      Effect.promise(() => Sshd.start()),
      (other) =>
        Effect.gen(function* () {
          yield* Effect.promise(() => other.stop())
          expect(yield* Effect.flip(hostOf(other))).toMatchObject({ reason: "unreachable", host: "kvm1" })
          const named = yield* Effect.flip(hostOf(other, { host: "no-such-host.invalid" }))
          expect(named.reason).toBe("unreachable")
        }),
      (other) => Effect.promise(() => other.dispose())
    )
  )

  it.live("that rejects our key is reported as refused", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(hostOf(sshd, { identityFile: sshd.file("host_key") }))
      expect(error.reason).toBe("refused")
      const missing = yield* Effect.flip(hostOf(sshd, { identityFile: join(here, "none") }))
      expect(missing.reason).toBe("refused")
      expect(missing.message).toContain(join(here, "none"))
    })
  )

  it.live("with a changed key is not trusted, and both fingerprints are reported", () =>
    Effect.acquireUseRelease(
      Effect.promise(() => Sshd.start()),
      (other) =>
        Effect.gen(function* () {
          yield* hostOf(other)
          const before = other.fingerprint
          yield* Effect.promise(() => other.changeKey())
          const error = yield* Effect.flip(hostOf(other))
          expect(error.reason).toBe("key-changed")
          expect(error.message).toContain(before)
          expect(error.message).toContain(other.fingerprint)
          expect(error.hint).toContain(
            `ssh-keygen -f '${join(here, "known_hosts")}' -R '[127.0.0.1]:${other.port}'`
          )
        }),
      (other) => Effect.promise(() => other.dispose())
    )
  )
})

describe("a Job over SSH", () => {
  it.live(
    "leaves its output, exit code and identity",
    test((host) =>
      Effect.gen(function* () {
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Absent" })
        yield* host.startJob({
          ...sh('printf "<%s>" "$@"; printf "[%s]" "$WORD"; echo err >&2; exit 255', ...nasty),
          env: { WORD: nasty.join("") }
        })
        expect(yield* followed(host)).toBe(
          `${nasty.map((word) => `<${word}>`).join("")}[${nasty.join("")}]err\n`
        )
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 255 })
        expect(yield* followed(host, 3)).toBe((yield* followed(host)).slice(3))
        expect(yield* host.stopJob(folder, { stop: "group", graceSeconds: 1 })).toEqual({
          killed: 0,
          left: 0
        })
      })
    )
  )

  it.live(
    "starts once, however many try",
    test((host) =>
      Effect.gen(function* () {
        const job = sh("echo begun; exec sleep 0.2")
        yield* Effect.all(
          [1, 2, 3].map(() => host.startJob(job)),
          { concurrency: "unbounded" }
        )
        expect(yield* followed(host)).toBe("begun\n")
      })
    )
  )

  it.live(
    "continues while the connection is cut or the server is stopped; no byte is lost or doubled",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(
          sh(`i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "line $i of the job"; sleep 0.02; done; exit 3`)
        )
        const following = yield* Effect.fork(followed(host))
        const has = (line: number) =>
          until(
            `line ${line}`,
            () => fs.existsSync(at("raw.log")) && read("raw.log").includes(`line ${line} `)
          )
        yield* has(30)
        yield* Effect.promise(() => sshd.cut())
        yield* has(80)
        yield* Effect.promise(() => sshd.stop())
        yield* has(150)
        yield* Effect.promise(() => sshd.start())
        yield* has(200)
        yield* Effect.promise(() => sshd.cut())
        const all = Array.from({ length: 300 }, (_, index) => `line ${index + 1} of the job\n`).join("")
        expect(yield* Fiber.join(following)).toBe(all)
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 3 })
      })
    )
  )

  it.live(
    "may print 10 MB at once",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh("head -c 10000000 /dev/urandom"))
        const hash = createHash("sha256")
        yield* Stream.runForEach(host.followJob(folder, 0), ({ bytes }) =>
          Effect.sync(() => hash.update(bytes))
        )
        expect(hash.digest("hex")).toBe(
          createHash("sha256")
            .update(fs.readFileSync(at("raw.log")))
            .digest("hex")
        )
      })
    )
  )

  it.live(
    "is asked to end; processes that ignore it are killed, and those that left its group are found by the cookie",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(
          sh(
            "trap 'echo told; exit 3' TERM; setsid sh -c \"trap '' TERM; echo \\$\\$ >deaf; while :; do sleep 0.1; done\" & echo $$ >pid; while :; do sleep 0.05; done"
          )
        )
        yield* appears("deaf")
        yield* appears("pid")
        const stopped = yield* host.stopJob(folder, { stop: "leader", graceSeconds: 5 })
        expect(stopped.left).toBe(0)
        expect(stopped.killed).toBeGreaterThan(0)
        expect(lives(Number(read("deaf")))).toBe(false)
        expect(processesWith(cookie, folder)).toEqual([])
        expect(read("raw.log")).toBe("told\n")
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 3 })
      })
    )
  )

  it.live(
    "stopped before its start never starts; one that was killed is reported as interrupted",
    test((host) =>
      Effect.gen(function* () {
        yield* host.stopJob(folder, { stop: "group", graceSeconds: 1 })
        yield* host.startJob(sh("echo never"))
        expect(yield* followed(host)).toBe("")
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Interrupted" })
      })
    )
  )

  it.live(
    "is among the living Jobs if its folder is below ours",
    test((host) =>
      Effect.gen(function* () {
        const own = HostPath(`${host.home}/jobs/${randomBytes(4).toString("hex")}`)
        yield* host.makeFolder(own)
        const line = "while :; do sleep 0.05; done"
        for (const job of [own, folder]) yield* host.startJob({ ...sh(line), folder: job })
        expect(yield* host.livingJobs).toEqual([own])
        expect((yield* host.jobProcesses(folder)).length).toBeGreaterThan(0)
        for (const job of [own, folder]) yield* host.stopJob(job, { stop: "group", graceSeconds: 0 })
        expect(yield* host.livingJobs).toEqual([])
      })
    )
  )

  it.live(
    "whose processes are all killed is interrupted, and following it ends",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh("echo begun; exec sleep 1000"))
        const following = yield* Effect.fork(followed(host))
        yield* appears("identity")
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Running" })
        const [, , group] = read("identity").split(" ")
        process.kill(-Number(group), "SIGKILL")
        expect(yield* Fiber.join(following)).toBe("begun\n")
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Interrupted" })
      })
    )
  )

  it.live(
    "has no follower left there after following ended",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh("exec sleep 1000"))
        yield* appears("identity")
        const following = yield* Effect.fork(followed(host))
        const followers = () =>
          fs.readdirSync("/proc").filter((pid) => {
            try {
              const args = fs.readFileSync(`/proc/${pid}/cmdline`, "latin1")
              const ours = fs.readFileSync(`/proc/${pid}/environ`, "latin1").includes(`HOME=${sshd.home}\0`)
              return ours && args.startsWith("/bin/sh\0-c\0sbx_n") && lives(Number(pid))
            } catch {
              return false
            }
          })
        yield* until("a follower", () => followers().length > 0)
        yield* Fiber.interrupt(following)
        yield* until("the end of the follower", () => followers().length === 0)
        yield* host.stopJob(folder, { stop: "group", graceSeconds: 0 })
      }).pipe(Effect.timeout(timeLimit(40_000)))
    )
  )
})

describe("files over SSH", () => {
  it.live(
    "are written, inspected, listed and removed",
    test((host) =>
      Effect.gen(function* () {
        const name = "a 'name'\nwith $(everything) \\ *"
        const text = `${nasty.join("\n")}\n`
        yield* host.write(at(name), text)
        expect(read(name)).toBe(text)
        expect(fs.statSync(at(name)).mode & 0o777).toBe(0o600)
        yield* host.write(at(".hidden"), "")
        expect(yield* host.list(folder)).toEqual([".hidden", name].sort())
        expect(yield* host.info(at(name))).toEqual({ type: "file", sizeBytes: Buffer.byteLength(text) })
        expect(yield* host.info(folder)).toMatchObject({ type: "folder" })
        expect(yield* host.info(at("none"))).toBeUndefined()
        expect(yield* host.sha256(at(name))).toBe(createHash("sha256").update(text).digest("hex"))
        fs.symlinkSync(at(name), at("link"))
        expect(yield* host.realPath(at("link"))).toBe(at(name))
        expect(yield* host.freeBytes(folder)).toBeGreaterThan(0)
        yield* host.remove(at(name))
        yield* host.remove(at("none"))
        expect(yield* host.info(at(name))).toBeUndefined()
        for (const wrong of [Effect.asVoid(host.list(at("none"))), Effect.asVoid(host.sha256(at("none")))]) {
          expect((yield* Effect.flip(wrong)).reason).toBe("not-found")
        }
        expect((yield* Effect.flip(host.write(at("none/file"), ""))).reason).toBe("not-found")
      })
    )
  )

  it.live(
    "are fetched and put completely, but never over existing files",
    test((host) =>
      Effect.gen(function* () {
        const bytes = randomBytes(3_000_000)
        fs.writeFileSync(at("big one"), bytes)
        yield* host.get(at("big one"), join(here, "big one"))
        expect(fs.readFileSync(join(here, "big one")).equals(bytes)).toBe(true)
        expect((yield* Effect.flip(host.get(at("big one"), join(here, "big one")))).reason).toBe("exists")
        expect((yield* Effect.flip(host.get(at("none"), join(here, "none")))).reason).toBe("not-found")
        yield* host.put(join(here, "big one"), at("again"))
        expect(fs.readFileSync(at("again")).equals(bytes)).toBe(true)
        expect((yield* Effect.flip(host.put(join(here, "big one"), at("again")))).reason).toBe("exists")
        fs.mkdirSync(join(here, "tree/inner"), { recursive: true })
        fs.writeFileSync(join(here, "tree/inner/file"), "1")
        yield* host.put(join(here, "tree"), at("tree"))
        expect(read("tree/inner/file")).toBe("1")
        expect(fs.readdirSync(folder).sort()).toEqual(["again", "big one", "tree"])
        expect(fs.readdirSync(here).filter((name) => name.includes("part"))).toEqual([])
      })
    )
  )

  it.live(
    "are staged in a folder that stays the same; links out of it are followed",
    test((host) =>
      Effect.gen(function* () {
        fs.mkdirSync(join(here, "t"))
        fs.writeFileSync(join(here, "outside"), "out")
        fs.writeFileSync(join(here, "t/one"), "1")
        fs.symlinkSync("one", join(here, "t/inner"))
        fs.symlinkSync("../outside", join(here, "t/outer"))
        const to = yield* host.stage(join(here, "t"))
        expect(fs.readFileSync(join(to, "outer"), "utf8")).toBe("out")
        expect(fs.readlinkSync(join(to, "inner"))).toBe("one")
        fs.rmSync(join(here, "t/one"))
        fs.writeFileSync(join(here, "t/two"), "2")
        expect(yield* host.stage(join(here, "t"))).toBe(to)
        expect(fs.readdirSync(to).sort()).toEqual(["inner", "outer", "two"])
        expect(to.startsWith(`${host.home}/placed/`)).toBe(true)
        const file = yield* host.stage(join(here, "outside"))
        expect(fs.readFileSync(file, "utf8")).toBe("out")
      })
    )
  )

  it.live(
    "are synced and fetched by name",
    test((host) =>
      Effect.gen(function* () {
        const from = join(here, "project's own")
        fs.mkdirSync(join(from, "sub"), { recursive: true })
        fs.writeFileSync(join(from, "sub/a b"), "1")
        fs.writeFileSync(at("old"), "")
        const options = { exclude: [], gitignore: false, dryRun: true }
        const changes = [
          { kind: "deleted", path: "old" },
          { kind: "sent", path: "sub/a b" }
        ]
        expect(yield* host.sync(from, folder, options)).toEqual(changes)
        expect(fs.readdirSync(folder)).toEqual(["old"])
        expect(yield* host.sync(from, folder, { ...options, dryRun: false })).toEqual(changes)
        expect(fs.readdirSync(folder)).toEqual(["sub"])
        fs.symlinkSync("sub/a b", at("link"))
        yield* host.fetch(folder, ["sub/a b", "link"], join(here, "into"))
        expect(fs.readFileSync(join(here, "into/sub/a b"), "utf8")).toBe("1")
        expect(fs.lstatSync(join(here, "into/link")).isFile()).toBe(true)
        expect((yield* Effect.flip(host.fetch(folder, ["link"], join(here, "into")))).reason).toBe("exists")
      })
    )
  )
})

import { createHash, randomBytes } from "node:crypto"
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { HostPath } from "../../src/domain/HostPath.js"
import { cookie, type HostShape, Hosts, type Job } from "../../src/hosts/Host.js"
import * as ByPlacement from "../../src/hosts/placement/HostsByPlacement.js"
import { bootId, processesWith, processInfo } from "../../src/internal/Proc.js"
import { detach, signal } from "../../src/internal/Processes.js"
import { layerHome } from "../../src/settings/Settings.js"
import { lives, until } from "./until.js"

let home: string
let folder: HostPath
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sandboxer-host-"))
  folder = HostPath(join(home, "jobs", "job"))
  mkdirSync(folder, { recursive: true })
})
afterEach(async () => {
  // Whatever a test that failed left, by the folders and groups that its jobs are known by.
  for (const name of readdirSync(join(home, "jobs"))) {
    const job = join(home, "jobs", name)
    const identity = join(job, "identity")
    const group = existsSync(identity) ? Number(readFileSync(identity, "utf8").split(" ")[2]) : undefined
    for (const { pid } of processesWith(cookie, job, group)) await Effect.runPromise(signal(pid, "SIGKILL"))
  }
  rmSync(home, { recursive: true, force: true })
})

const layer = Layer.suspend(() => Layer.provide(ByPlacement.layer, layerHome(home)))

const test = (use: (host: HostShape) => Effect.Effect<void, unknown>) => () =>
  Hosts.pipe(
    Effect.flatMap((hosts) => hosts.get({ host: "local" })),
    Effect.flatMap(use),
    Effect.provide(layer)
  )

const at = (name: string): HostPath => HostPath(join(folder, name))
const path = (name: string): HostPath => HostPath(join(home, name))
const read = (name: string): string => readFileSync(at(name), "utf8")
const tryRead = (name: string): string | undefined => (existsSync(at(name)) ? read(name) : undefined)

/** A line for the shell as a job, in the job's folder. */
const sh = (line: string, ...args: ReadonlyArray<string>): Job => ({
  folder,
  program: "sh",
  args: ["-c", line, "sh", ...args],
  stop: "group"
})

const appears = (name: string) => until(name, () => existsSync(at(name)))
const number = (name: string) => until(name, () => Number(tryRead(name)?.trim()) || undefined)
/** Who the wrapper is: it leads the job's group. */
const wrapper = Effect.map(appears("identity"), () => Number(read("identity").split(" ")[2]))

const followed = (host: HostShape, from = 0) =>
  Effect.map(Stream.runCollect(host.followJob(folder, from)), (pieces) => ({
    text: Buffer.concat(Chunk.toReadonlyArray(pieces).map(({ bytes }) => bytes)).toString(),
    ends: Chunk.toReadonlyArray(pieces).map(({ end }) => end)
  }))

/** Starts a job and waits for its end; gives what it printed. */
const ran = (host: HostShape, job: Job) =>
  Effect.zipRight(
    host.startJob(job),
    Effect.map(followed(host), ({ text }) => text)
  )

/** Goes on until it is told to end, and then says so in a file. */
const listens = (name: string) =>
  `trap 'echo $$ >${name}.told; exit 3' TERM; echo $$ >${name}; while :; do sleep 0.02; done`
/** Goes on, and does not want to end. */
const deaf = (name: string) => `trap '' TERM; echo $$ >${name}; while :; do sleep 0.02; done`

describe("a Job on this machine", () => {
  it.live(
    "lists its processes while it lives, and itself among the living Jobs",
    test((host) =>
      Effect.gen(function* () {
        expect(yield* host.jobProcesses(folder)).toEqual([])
        yield* host.startJob(sh(listens("pid")))
        yield* number("pid")
        const names = (yield* host.jobProcesses(folder)).map(({ name }) => name)
        expect(names.filter((name) => name === "sh").length).toBeGreaterThanOrEqual(2)
        expect(yield* host.livingJobs).toEqual([folder])
        yield* host.stopJob(folder, { stop: "group", graceSeconds: 0 })
        expect(yield* host.jobProcesses(folder)).toEqual([])
        expect(yield* host.livingJobs).toEqual([])
      })
    )
  )

  it.live(
    "leaves its output, exit code and identity, readable by the user alone",
    test((host) =>
      Effect.gen(function* () {
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Absent" })
        expect(yield* ran(host, sh("echo $$ >pid; echo out; echo err >&2; exit 7"))).toBe("out\nerr\n")
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 7 })
        const [pid, startTime, group, boot] = read("identity").trim().split(" ")
        expect([pid, boot]).toEqual([read("pid").trim(), bootId()])
        expect([Number(startTime) > 0, Number(group) > 0]).toEqual([true, true])
        expect(readdirSync(folder).sort()).toEqual(["claim", "exit", "identity", "pid", "raw.log"])
        for (const name of ["exit", "identity", "raw.log"]) expect(statSync(at(name)).mode & 0o077).toBe(0)
      })
    )
  )

  it.live(
    "runs once, however many processes start it at the same time",
    test((host) =>
      Effect.gen(function* () {
        const job = sh("echo run >>runs; until [ -e go ]; do sleep 0.02; done; echo done")
        yield* Effect.all(
          Array.from({ length: 10 }, () => host.startJob(job)),
          { concurrency: "unbounded" }
        )
        yield* appears("runs")
        yield* until("the end of all other wrappers", () => {
          const groups = new Set(processesWith(cookie, folder).map(({ group }) => group))
          return groups.size === 1
        })
        writeFileSync(at("go"), "")
        expect((yield* followed(host)).text).toBe("done\n")
        yield* host.startJob(job)
        yield* until("the end of the last wrapper", () => processesWith(cookie, folder).length === 0)
        expect(read("runs")).toBe("run\n")
      })
    )
  )

  it.live(
    "gets its arguments, folder and variables unchanged, and an empty stdin",
    test((host) =>
      Effect.gen(function* () {
        mkdirSync(path("elsewhere"))
        const args = ["a b", '"', "'", "$HOME `id` \\", "two\nlines", "", "-n", "--", "日本 😀", "*", "%s"]
        const line =
          'for a; do printf "%s\\0" "$a"; done; printf "%s\\0" "$PWD" "$MINE" "$(cat)"; readlink /proc/self/fd/0'
        const printed = yield* ran(host, {
          ...sh(line, ...args),
          cwd: path("elsewhere"),
          env: { MINE: "a=b c" }
        })
        expect(printed.split("\0")).toEqual([...args, path("elsewhere"), "a=b c", "", "/dev/null\n"])
      })
    )
  )

  it.live(
    "may be a program with blanks in its name, in a folder with blanks",
    test((host) =>
      Effect.gen(function* () {
        folder = path('jobs/it\'s a "job" 😀')
        mkdirSync(folder)
        writeFileSync(at("my program"), '#!/bin/sh\necho "$1"\n', { mode: 0o700 })
        expect(yield* ran(host, { folder, program: "./my program", args: ["-x"], stop: "group" })).toBe(
          "-x\n"
        )
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 0 })
      })
    )
  )

  it.live.each([
    ["a command that does not exist", { program: "no-such-program" }, 127, /no-such-program/],
    ["a command that cannot be run", { program: "/etc/passwd" }, 126, /passwd/],
    ["a folder that does not exist", { cwd: HostPath("/no/such/folder") }, 2, /no\/such\/folder/],
    ["a command that was killed", { args: ["-c", "kill -KILL $$"] }, 137, /^$/]
  ] as const)("has a shell's exit code for %s", ([, changed, exitCode, printed]) =>
    test((host) =>
      Effect.gen(function* () {
        expect(yield* ran(host, { ...sh("true"), ...changed })).toMatch(printed)
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode })
      })
    )()
  )

  it.live(
    "fails if its program cannot be started at all",
    test((host) =>
      Effect.gen(function* () {
        expect(yield* Effect.flip(host.startJob(sh("true", "a\0b")))).toMatchObject({
          _tag: "HostError",
          reason: "other"
        })
      })
    )
  )

  it.live(
    "has its exit code recorded although its wrapper got signals",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh("until [ -e go ]; do sleep 0.02; done; exit 5"))
        const group = yield* wrapper
        for (const name of ["SIGHUP", "SIGINT", "SIGTERM"] as const) yield* signal(group, name)
        writeFileSync(at("go"), "")
        yield* followed(host)
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 5 })
      })
    )
  )

  it.live(
    "does not inherit the wrapper's ignored signals",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh("grep SigIgn /proc/$$/status >ignored"))
        yield* followed(host)
        const ignored = Number.parseInt(read("ignored").split(":")[1] ?? "", 16)
        expect([1, 15].map((signalNumber) => ignored & (1 << (signalNumber - 1)))).toEqual([0, 0])
      })
    )
  )
})

describe("following a Job", () => {
  it.live(
    "returns output while the Job prints, from any offset",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh("printf 0123; until [ -e go ]; do sleep 0.02; done; printf 456789"))
        const seen = yield* Ref.make("")
        const fiber = yield* Effect.fork(
          Stream.runForEach(host.followJob(folder, 2), ({ bytes, end }) =>
            Ref.update(seen, (text) => `${text}${Buffer.from(bytes).toString()}@${end} `)
          )
        )
        while ((yield* Ref.get(seen)) !== "23@4 ") yield* Effect.sleep("10 millis")
        writeFileSync(at("go"), "")
        yield* Fiber.join(fiber)
        expect(yield* Ref.get(seen)).toBe("23@4 456789@10 ")
        expect(yield* followed(host, 7)).toEqual({ text: "789", ends: [10] })
        expect(yield* followed(host, 10)).toEqual({ text: "", ends: [] })
        expect(yield* followed(host, 99)).toEqual({ text: "", ends: [] })
      })
    )
  )

  it.live(
    "returns all of a large output, in pieces whose ends are offsets in it",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(
          sh('i=0; while [ $i -lt 30000 ]; do echo "$i ünïcödé 日本 😀"; i=$((i+1)); done')
        )
        const { ends, text } = yield* followed(host)
        expect(text).toBe(read("raw.log"))
        expect(text.split("\n")).toHaveLength(30_001)
        expect(ends.at(-1)).toBe(statSync(at("raw.log")).size)
        expect([...ends].sort((a, b) => a - b)).toEqual(ends)
      })
    )
  )

  it.live(
    "ends if the Job was killed and left no exit code",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh("echo begun; exec sleep 1000"))
        const group = yield* wrapper
        const fiber = yield* Effect.fork(followed(host))
        yield* signal(-group, "SIGKILL")
        expect((yield* Fiber.join(fiber)).text).toMatch(/^(begun\n)?$/)
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Interrupted" })
      })
    )
  )

  it.live(
    "ends if the Job never started",
    test((host) =>
      Effect.gen(function* () {
        rmSync(folder, { recursive: true })
        yield* host.startJob({ ...sh("true"), cwd: HostPath("/") })
        expect(yield* followed(host)).toEqual({ text: "", ends: [] })
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Absent" })
      })
    )
  )
})

describe("the status of a Job", () => {
  it.live(
    "is running while any of its processes runs",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh("exec sleep 1000"))
        yield* appears("identity")
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Running" })
        const group = yield* wrapper
        yield* signal(group, "SIGKILL")
        yield* until("the end of the wrapper", () => !lives(group))
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Running" })
        yield* signal(-group, "SIGKILL")
        yield* until("the end of the command", () => processesWith(cookie, folder).length === 0)
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Interrupted" })
      })
    )
  )

  it.live.each(["", "garbage\n", "1"])("ignores an exit file with invalid content: %j", (text) =>
    test((host) =>
      Effect.gen(function* () {
        mkdirSync(at("claim"))
        writeFileSync(at("exit"), text)
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Interrupted" })
      })
    )()
  )
})

describe("stopping a Job", () => {
  const stopped = (host: HostShape, stop: "leader" | "group", graceSeconds: number) =>
    host.stopJob(folder, { stop, graceSeconds })

  it.live(
    "by its group signals every process and waits for them",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh(`sh -c "$1" & ${listens("leader")}`, listens("child")))
        const pids = [yield* number("leader"), yield* number("child")]
        expect(yield* stopped(host, "group", 20)).toEqual({ killed: 0, left: 0 })
        expect([read("leader.told"), read("child.told")].map(Number)).toEqual(pids)
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 3 })
      })
    )
  )

  it.live(
    "by its leader signals only the leader, and kills the rest before the grace period ends",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh(`sh -c "$1" & ${listens("leader")}`, listens("child")))
        yield* number("leader")
        const child = yield* number("child")
        const { killed, left } = yield* stopped(host, "leader", 20)
        expect(killed).toBeGreaterThan(0)
        expect(left).toBe(0)
        expect([existsSync(at("leader.told")), existsSync(at("child.told"))]).toEqual([true, false])
        expect(lives(child)).toBe(false)
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 3 })
      })
    ),
    15_000
  )

  it.live(
    "kills what does not end within the grace period",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh(`sh -c "$1" & ${deaf("leader")}`, deaf("child")))
        const pids = [yield* number("leader"), yield* number("child")]
        const { killed } = yield* stopped(host, "group", 0.3)
        expect(killed).toBeGreaterThanOrEqual(2)
        expect(pids.map(lives)).toEqual([false, false])
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Interrupted" })
        expect(yield* stopped(host, "group", 20)).toEqual({ killed: 0, left: 0 })
      })
    )
  )

  it.live(
    "finds processes that emptied their environment but stayed in the group, even without the others",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh(`env -i sh -c "$1" & exec sleep 1000`, deaf("child")))
        const child = yield* number("child")
        const group = yield* wrapper
        const command = Number(read("identity").split(" ")[0])
        for (const pid of [group, command]) yield* signal(pid, "SIGKILL")
        yield* until("the end of the others", () => !lives(group) && !lives(command))
        expect(lives(child)).toBe(true)
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Running" })
        const { killed } = yield* stopped(host, "group", 0)
        expect(killed).toBeGreaterThan(0)
        expect(lives(child)).toBe(false)
      })
    )
  )

  it.live(
    "finds processes that left the group",
    test((host) =>
      Effect.gen(function* () {
        yield* host.startJob(sh(`setsid sh -c "$1" & until [ -e child ]; do sleep 0.02; done`, deaf("child")))
        yield* followed(host)
        const child = yield* number("child")
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 0 })
        expect(processInfo(child)?.group).toBe(child)
        const { killed } = yield* stopped(host, "leader", 0)
        expect(killed).toBeGreaterThan(0)
        expect(lives(child)).toBe(false)
      })
    )
  )

  it.live(
    "before its start, or before its folder exists, prevents it from ever starting",
    test((host) =>
      Effect.gen(function* () {
        rmSync(folder, { recursive: true })
        expect(yield* stopped(host, "group", 20)).toEqual({ killed: 0, left: 0 })
        yield* host.startJob(sh("echo ran >ran"))
        yield* until("the end of the wrapper", () => processesWith(cookie, folder).length === 0)
        expect(existsSync(at("ran"))).toBe(false)
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Interrupted" })
      })
    )
  )

  it.live(
    "that has ended or does not exist changes nothing",
    test((host) =>
      Effect.gen(function* () {
        yield* ran(host, sh("exit 4"))
        expect(yield* stopped(host, "leader", 20)).toEqual({ killed: 0, left: 0 })
        expect(yield* host.jobStatus(folder)).toEqual({ _tag: "Exited", exitCode: 4 })
        const nowhere = HostPath(join(home, "gone", "job"))
        expect(yield* host.stopJob(nowhere, { stop: "leader", graceSeconds: 20 })).toEqual({
          killed: 0,
          left: 0
        })
        expect(existsSync(path("gone"))).toBe(false)
      })
    )
  )

  it.live(
    "spares a process that reused the number of one of its processes",
    test((host) =>
      Effect.gen(function* () {
        const pid = yield* detach({ program: "sleep", args: ["1000"] })
        yield* Effect.addFinalizer(() => signal(pid, "SIGKILL"))
        const startTime = processInfo(pid)?.startTime ?? 0
        mkdirSync(at("claim"))
        for (const identity of [
          `${pid} ${startTime} ${pid} 00000000-0000-0000-0000-000000000000`,
          `${pid} ${startTime - 1} ${pid} ${bootId()}`
        ]) {
          writeFileSync(at("identity"), `${identity}\n`)
          for (const stop of ["leader", "group"] as const) {
            expect(yield* stopped(host, stop, 1)).toEqual({ killed: 0, left: 0 })
          }
          expect(lives(pid)).toBe(true)
        }
      }).pipe(Effect.scoped)
    )
  )
})

describe("running a command on this machine", () => {
  it.live(
    "returns its output and exit code",
    test((host) =>
      Effect.gen(function* () {
        mkdirSync(path("elsewhere"))
        expect(
          yield* host.run({
            program: "sh",
            args: ["-c", 'pwd; echo "$MINE" >&2; exit 3'],
            cwd: path("elsewhere"),
            env: { MINE: "a b" }
          })
        ).toEqual({ exitCode: 3, stdout: `${path("elsewhere")}\n`, stderr: "a b\n" })
      })
    )
  )

  it.live(
    "fails with the right reason if it cannot start",
    test((host) =>
      Effect.gen(function* () {
        const error = (program: string, ...args: ReadonlyArray<string>) =>
          Effect.flip(host.run({ program, args }, { timeoutSeconds: 0.2 }))
        expect(yield* error("no-such-program")).toMatchObject({
          reason: "program-missing",
          host: "local",
          hint: "install no-such-program, or put it on the PATH"
        })
        expect(yield* error("/etc/passwd")).toMatchObject({
          reason: "not-permitted",
          hint: "check who owns the path and its permissions"
        })
        expect(yield* error("sleep", "1000")).toMatchObject({ reason: "no-answer" })
      })
    )
  )
})

describe("files on this machine", () => {
  it.live(
    "are written completely, readable by the user alone",
    test((host) =>
      Effect.gen(function* () {
        yield* host.write(path("file"), "first")
        yield* host.write(path("file"), "ünïcödé\n")
        expect(readFileSync(path("file"), "utf8")).toBe("ünïcödé\n")
        expect(statSync(path("file")).mode & 0o777).toBe(0o600)
        expect(readdirSync(home).sort()).toEqual(["file", "jobs"])
        expect(yield* Effect.flip(host.write(path("nowhere/file"), ""))).toMatchObject({
          reason: "not-found"
        })
      })
    )
  )

  it.live(
    "and folders have the information that stat reports",
    test((host) =>
      Effect.gen(function* () {
        writeFileSync(path("file"), "12345")
        symlinkSync(path("file"), path("link"))
        symlinkSync(path("nowhere"), path("dangling"))
        expect(yield* host.info(path("file"))).toEqual({ type: "file", sizeBytes: 5 })
        expect(yield* host.info(path("link"))).toEqual({ type: "file", sizeBytes: 5 })
        expect(yield* host.info(path("jobs"))).toMatchObject({ type: "folder" })
        expect(yield* host.info(HostPath("/dev/null"))).toMatchObject({ type: "other" })
        expect(yield* host.info(path("nowhere"))).toBeUndefined()
        expect(yield* host.info(path("dangling"))).toBeUndefined()
        expect(yield* host.info(path("file/below"))).toBeUndefined()
        expect(yield* host.realPath(path("link"))).toBe(yield* host.realPath(path("file")))
        expect(yield* Effect.flip(host.realPath(path("nowhere")))).toMatchObject({ reason: "not-found" })
      })
    )
  )

  it.live(
    "are listed in order, created with their parents, and removed with their contents",
    test((host) =>
      Effect.gen(function* () {
        yield* host.makeFolder(path("a/b/c"))
        yield* host.makeFolder(path("a/b/c"))
        expect(statSync(path("a/b")).mode & 0o777).toBe(0o700)
        for (const name of ["z", "b 2", ".hidden", "ä"]) writeFileSync(path(`a/${name}`), "")
        expect(yield* host.list(path("a"))).toEqual([".hidden", "b", "b 2", "z", "ä"])
        expect(yield* Effect.flip(host.list(path("nowhere")))).toMatchObject({ reason: "not-found" })
        expect(yield* Effect.flip(host.makeFolder(path("a/z/c")))).toMatchObject({ _tag: "HostError" })
        yield* host.remove(path("a"))
        yield* host.remove(path("a"))
        expect(existsSync(path("a"))).toBe(false)
      })
    )
  )

  it.live(
    "have a digest, however large they are",
    test((host) =>
      Effect.gen(function* () {
        const bytes = randomBytes(2 * 1024 * 1024 + 5)
        writeFileSync(path("file"), bytes)
        expect(yield* host.sha256(path("file"))).toBe(createHash("sha256").update(bytes).digest("hex"))
        writeFileSync(path("empty"), "")
        expect(yield* host.sha256(path("empty"))).toBe(createHash("sha256").digest("hex"))
        expect(yield* Effect.flip(host.sha256(path("nowhere")))).toMatchObject({ reason: "not-found" })
        expect(yield* Effect.flip(host.sha256(path("jobs")))).toMatchObject({ _tag: "HostError" })
      })
    )
  )

  it.live(
    "have free space reported",
    test((host) =>
      Effect.gen(function* () {
        expect(yield* host.freeBytes(path("jobs"))).toBeGreaterThan(0)
        expect(yield* Effect.flip(host.freeBytes(path("nowhere")))).toMatchObject({ reason: "not-found" })
      })
    )
  )

  it.live(
    "are staged where they are, without a copy",
    test((host) =>
      Effect.gen(function* () {
        expect(yield* host.stage("/srv/template.pkr.hcl")).toBe("/srv/template.pkr.hcl")
      })
    )
  )
})

describe.each(["put", "get"] as const)("copying files with %s", (way) => {
  const copied = (host: HostShape, from: string, to: string) =>
    way === "put" ? host.put(from, HostPath(to)) : host.get(HostPath(from), to)

  it.live(
    "keeps content and permissions",
    test((host) =>
      Effect.gen(function* () {
        const bytes = randomBytes(100_000)
        writeFileSync(path("from"), bytes, { mode: 0o750 })
        yield* copied(host, path("from"), path("to"))
        expect(readFileSync(path("to")).equals(bytes)).toBe(true)
        expect(statSync(path("to")).mode & 0o777).toBe(0o750)
      })
    )
  )

  it.live(
    "follows a link to its target",
    test((host) =>
      Effect.gen(function* () {
        writeFileSync(path("file"), "text")
        symlinkSync("file", path("link"))
        yield* copied(host, path("link"), path("to"))
        expect(lstatSync(path("to")).isFile()).toBe(true)
        expect(readFileSync(path("to"), "utf8")).toBe("text")
      })
    )
  )

  it.live(
    "copies whole folders and keeps links inside them as links",
    test((host) =>
      Effect.gen(function* () {
        mkdirSync(path("from/inner"), { recursive: true })
        writeFileSync(path("from/inner/file"), "text")
        symlinkSync("inner/file", path("from/link"))
        yield* copied(host, path("from"), path("to"))
        expect(readFileSync(path("to/inner/file"), "utf8")).toBe("text")
        expect(lstatSync(path("to/link")).isSymbolicLink()).toBe(true)
      })
    )
  )

  it.live(
    "never replaces or merges into what exists",
    test((host) =>
      Effect.gen(function* () {
        mkdirSync(path("folder"))
        mkdirSync(path("empty"))
        for (const name of ["file", "there", "folder/inner"]) writeFileSync(path(name), name)
        symlinkSync("nowhere", path("dangling"))
        const taken = [
          ["file", "there"],
          ["file", "dangling"],
          ["file", "empty"],
          ["folder", "empty"],
          ["folder", "there"]
        ] as const
        for (const [from, to] of taken) {
          expect(yield* Effect.flip(copied(host, path(from), path(to)))).toMatchObject({ reason: "exists" })
        }
        expect(readFileSync(path("there"), "utf8")).toBe("there")
        expect([readdirSync(path("empty")), existsSync(path("nowhere"))]).toEqual([[], false])
      })
    )
  )

  it.live(
    "fails if the source or the target's folder does not exist",
    test((host) =>
      Effect.gen(function* () {
        expect(yield* Effect.flip(copied(host, path("nowhere"), path("to")))).toMatchObject({
          reason: "not-found"
        })
        expect(existsSync(path("to"))).toBe(false)
      })
    )
  )
})

describe("files that are fetched", () => {
  it.live(
    "are copies, so that later changes do not affect them",
    test((host) =>
      Effect.gen(function* () {
        const elsewhere = mkdtempSync(join(tmpdir(), "sandboxer-elsewhere-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(elsewhere, { recursive: true })))
        writeFileSync(join(elsewhere, "file"), "text")
        symlinkSync(join(elsewhere, "file"), path("link"))
        yield* host.get(HostPath(join(elsewhere, "file")), path("to"))
        yield* host.get(path("link"), path("to-2"))
        appendFileSync(join(elsewhere, "file"), " changed")
        expect([readFileSync(path("to"), "utf8"), readFileSync(path("to-2"), "utf8")]).toEqual([
          "text",
          "text"
        ])
      }).pipe(Effect.scoped)
    )
  )
})

it.live("a host that is not configured is unreachable", () =>
  Effect.gen(function* () {
    const hosts = yield* Hosts
    expect(yield* Effect.flip(hosts.get({ host: "elsewhere" }))).toMatchObject({
      reason: "unreachable",
      host: "elsewhere",
      hint: "hosts are local; the configuration's `hosts` names more"
    })
  }).pipe(Effect.provide(layer))
)

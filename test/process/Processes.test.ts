import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { processInfo } from "../../src/internal/Proc.js"
import * as Processes from "../../src/internal/Processes.js"
import { detach, type ProcessCommand, signal } from "../../src/internal/Processes.js"
import { defaults } from "../../src/settings/Timing.js"
import { lives, until } from "./until.js"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-processes-"))
})
afterEach(async () => {
  // Whatever a test that failed left.
  for (const pid of writtenPids().filter(lives)) await Effect.runPromise(signal(pid, "SIGKILL"))
  rmSync(folder, { recursive: true, force: true })
})

/** Pids that children wrote. */
const writtenPids = (): ReadonlyArray<number> => {
  const file = join(folder, "pids")
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1).map(Number) : []
}

/** A line for the shell, that runs in the test's folder. */
const sh = (line: string, ...args: ReadonlyArray<string>) => ({
  program: "sh",
  args: ["-c", line, "sh", ...args],
  cwd: folder
})

const pipes = () => process.getActiveResourcesInfo().filter((name) => name === "PipeWrap").length
const pipesBefore = pipes()

const run = (command: ProcessCommand, options?: { readonly timeoutSeconds: number }) =>
  Processes.run(command, defaults.process, options)

/** Both ways of starting a command. */
const starts = [
  (command: ProcessCommand) => Effect.asVoid(run(command)),
  (command: ProcessCommand) => Effect.asVoid(detach(command))
]

/** The same, once there are so many. */
const pids = (count: number) =>
  until(`${count} pids`, () => {
    const found = writtenPids()
    return found.length === count && found
  })

describe("running a command to its end", () => {
  it.live("returns the exit code, stdout and stderr", () =>
    Effect.gen(function* () {
      expect(yield* run(sh("echo out; echo err >&2; exit 7"))).toEqual({
        exitCode: 7,
        stdout: "out\n",
        stderr: "err\n"
      })
    })
  )

  it.live.each([
    ["TERM", 143],
    ["KILL", 137],
    ["HUP", 129],
    ["USR1", 138]
  ] as const)("returns a shell's exit code when SIG%s ended the command", ([name, exitCode]) =>
    Effect.gen(function* () {
      expect((yield* run(sh(`kill -${name} $$`))).exitCode).toBe(exitCode)
    })
  )

  it.live("passes arguments, working directory and extra variables unchanged", () =>
    Effect.gen(function* () {
      const args = ["a b", '"', "'", "$HOME", "\n", "", "-n", "日本 😀", "*"]
      const { stdout } = yield* run({
        ...sh('for a; do printf "%s\\0" "$a"; done; pwd; printf %s "$MINE:$PATH"', ...args),
        env: { MINE: "yes" }
      })
      const printed = stdout.split("\0")
      expect(printed.slice(0, -1)).toEqual(args)
      expect(printed.at(-1)).toBe(`${folder}\nyes:${process.env.PATH}`)
    })
  )

  it.live("gives the command an empty stdin", () =>
    Effect.gen(function* () {
      expect(yield* run({ program: "cat", args: [] })).toMatchObject({ exitCode: 0, stdout: "" })
    })
  )

  it.live("does not hang when both outputs exceed what is kept", () =>
    Effect.gen(function* () {
      const { exitCode, stderr, stdout } = yield* run(
        sh("head -c 2000000 /dev/zero | tr '\\0' a; head -c 2000000 /dev/zero | tr '\\0' b >&2; exit 3")
      )
      expect(exitCode).toBe(3)
      expect(stdout === "a".repeat(1024 * 1024)).toBe(true)
      expect(stderr === "b".repeat(1024 * 1024)).toBe(true)
    })
  )

  it.live("decodes characters that arrive one byte at a time", () =>
    Effect.gen(function* () {
      const { stdout } = yield* run(sh("printf '\\360\\237'; sleep 0.05; printf '\\230\\200'"))
      expect(stdout).toBe("😀")
    })
  )
})

describe("a command that cannot start", () => {
  it.live("fails as not found if the program is missing", () =>
    Effect.gen(function* () {
      for (const start of starts) {
        expect(yield* Effect.flip(start({ program: "no-such-program", args: [] }))).toMatchObject({
          _tag: "ProcessError",
          reason: "not-found",
          program: "no-such-program"
        })
      }
    })
  )

  it.live("fails as not permitted if the program is not executable", () =>
    Effect.gen(function* () {
      const file = join(folder, "file")
      writeFileSync(file, "#!/bin/sh\n", { mode: 0o644 })
      for (const start of starts) {
        expect(yield* Effect.flip(start({ program: file, args: [] }))).toMatchObject({
          reason: "not-permitted"
        })
      }
    })
  )

  it.live("fails with a typed error, never a defect, for every cause", () =>
    Effect.gen(function* () {
      for (const start of starts) {
        expect(yield* Effect.flip(start({ program: "/etc/passwd/program", args: [] }))).toMatchObject({
          reason: "not-found"
        })
        expect(yield* Effect.flip(start(sh("true", "a\0b")))).toMatchObject({ reason: "other" })
        expect(yield* Effect.flip(start(sh("true", "x".repeat(5_000_000))))).toMatchObject({
          reason: "other"
        })
      }
    })
  )

  it.live("names the working directory when that is what is missing", () =>
    Effect.gen(function* () {
      const cwd = join(folder, "nowhere")
      expect(yield* Effect.flip(run({ program: "true", args: [], cwd }))).toMatchObject({
        reason: "other",
        message: `true cannot be started in ${cwd}: there is no such folder`
      })
    })
  )
})

describe("interrupting a command", () => {
  it.live("sends SIGTERM first, so that it can clean up", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(
        run(sh("trap 'echo bye >bye; exit' TERM; echo $$ >pids; while :; do sleep 0.02; done"))
      )
      const [pid = 0] = yield* pids(1)
      yield* Fiber.interrupt(fiber)
      expect(readFileSync(join(folder, "bye"), "utf8")).toBe("bye\n")
      expect(lives(pid)).toBe(false)
    })
  )

  it.live("ends its children too, including those that ignore SIGTERM", () =>
    Effect.gen(function* () {
      const deaf = "trap '' TERM; echo $$ >>pids; while :; do sleep 0.02; done"
      const fiber = yield* Effect.fork(run(sh(`sh -c "$1" & trap '' TERM; echo $$ >>pids; wait`, deaf)))
      const all = yield* pids(2)
      expect(all.map(lives)).toEqual([true, true])
      yield* Fiber.interrupt(fiber)
      yield* until("the end of both", () => !all.some(lives))
    })
  )

  it.live("ends its children if the command itself has already ended", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(run(sh("sleep 1000 & echo $! >pids")))
      const [pid = 0] = yield* pids(1)
      yield* until("the end of the shell", () => !lives(processInfo(pid)?.group ?? 0))
      yield* Fiber.interrupt(fiber)
      yield* until("the end of what it started", () => !lives(pid))
    })
  )

  it.live("does not hang when a daemon keeps the outputs open", () =>
    Effect.gen(function* () {
      yield* until("the end of earlier pipes", () => pipes() === pipesBefore)
      const fiber = yield* Effect.fork(run(sh("setsid sh -c 'echo $$ >pids; exec sleep 1000' & wait")))
      const [pid = 0] = yield* pids(1)
      expect(pipes()).toBe(pipesBefore + 2)
      yield* Fiber.interrupt(fiber)
      expect(lives(pid)).toBe(true)
      yield* until("the pipes' end", () => pipes() === pipesBefore)
      yield* signal(pid, "SIGKILL")
      yield* until("the end of what went away", () => !lives(pid))
    })
  )
})

describe("a command with a timeout", () => {
  it.live("is ended and fails when the time is up", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run(sh("echo $$ >pids; exec sleep 1000"), { timeoutSeconds: 0.3 }))
      expect(error).toMatchObject({
        reason: "timeout",
        program: "sh",
        message: "sh did not end within 0.3 s"
      })
      const [pid = 0] = yield* pids(1)
      expect(lives(pid)).toBe(false)
    })
  )

  it.live("succeeds when it ends in time", () =>
    Effect.gen(function* () {
      expect(yield* run(sh("echo done"), { timeoutSeconds: 20 })).toMatchObject({ stdout: "done\n" })
    })
  )
})

describe("a command whose child keeps stderr open", () => {
  /** The other one ends when there is a file `go`. */
  const leaving = (exitCode: number) =>
    sh(
      `{ until [ -e go ]; do sleep 0.02; done; echo late >&2; } >/dev/null & echo $! >>pids; echo early >&2; exit ${exitCode}`
    )
  const runs = (exitCode: number) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { ended, stdout } = yield* Processes.piped(leaving(exitCode), defaults.process, {
          input: "",
          held: false,
          leaves: true
        })
        yield* Stream.runDrain(stdout)
        return yield* ended
      })
    )

  it.live("ends when the command itself ends and leaves that child alone", () =>
    Effect.gen(function* () {
      expect(yield* runs(0)).toMatchObject({ exitCode: 0 })
      const [left = 0] = writtenPids()
      expect(lives(left)).toBe(true)
      yield* until("the end of our pipes", () => pipes() === pipesBefore)
      expect(lives(left)).toBe(true)
      writeFileSync(join(folder, "go"), "")
      yield* until("its end", () => !lives(left))
    })
  )

  it.live("has its complete stderr read when it failed", () =>
    Effect.gen(function* () {
      const running = yield* Effect.fork(runs(3))
      yield* until("its end", () => writtenPids().length > 0)
      writeFileSync(join(folder, "go"), "")
      expect(yield* Fiber.join(running)).toMatchObject({ exitCode: 3, stderr: "early\nlate\n" })
    })
  )

  it.live("can be interrupted together with that child", () =>
    Effect.gen(function* () {
      const running = yield* Effect.fork(runs(3))
      const left = yield* until("its pid", () => writtenPids()[0])
      yield* Fiber.interrupt(running)
      yield* until("its end", () => !lives(left))
    })
  )
})

describe("a detached process", () => {
  it.live("has its own session and none of our files open", () =>
    Effect.gen(function* () {
      const pid = yield* detach(
        sh(
          "{ ps -o sid= -p $$; readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2; } >x; mv x out; exec sleep 1000"
        )
      )
      yield* Effect.addFinalizer(() => signal(-pid, "SIGKILL"))
      const out = join(folder, "out")
      yield* until("what it writes", () => existsSync(out))
      expect(processInfo(pid)).toMatchObject({ pid, group: pid, zombie: false })
      const [session, stdin, , stderr] = readFileSync(out, "utf8").split("\n")
      expect([Number(session), stdin, stderr]).toEqual([pid, "/dev/null", "/dev/null"])
      yield* signal(-pid, "SIGKILL")
      yield* until("its end", () => !lives(pid))
    }).pipe(Effect.scoped)
  )
})

describe("sending a signal", () => {
  it.live("to a process that is gone is not an error", () =>
    Effect.gen(function* () {
      const pid = yield* detach({ program: "true", args: [] })
      yield* until("its end", () => !lives(pid))
      yield* signal(pid, "SIGTERM")
      yield* signal(-pid, "SIGTERM")
    })
  )
})

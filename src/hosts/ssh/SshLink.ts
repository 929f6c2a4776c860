/** The connection to a host that all commands to it share, also those of other processes of this user. */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { createConnection as connectTo } from "node:net"
import { userInfo } from "node:os"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describeError } from "../../domain/ErrorKind.js"
import type { Connection } from "../../domain/Placement.js"
import { installHint } from "../../domain/Programs.js"
import * as Processes from "../../internal/Processes.js"
import type { TimingShape } from "../../settings/Timing.js"
import { HostError } from "../Host.js"
import { connectError, fileError, linkLost } from "./SshErrors.js"
import { connecting, parseConfiguration, type SshTarget, sharing, where } from "./SshOptions.js"
import type { Question } from "./SshShell.js"
import * as Shell from "./SshShell.js"
import * as Loop from "./SshShellPool.js"

/** Socket names have at most 107 bytes, and ssh puts 17 behind one while it makes it. */
const longestSocket = 90

/** What is known of a connection as it is made; kept beside its socket. */
const Known = Schema.Struct({
  home: Schema.String,
  host: Schema.String,
  port: Schema.Int,
  user: Schema.String,
  keyFingerprint: Schema.NullOr(Schema.String)
})
export type Known = typeof Known.Type
const KnownJson = Schema.parseJson(Known)

/** Gives the absolute path of our own folder there, which it makes. */
const hello = `
umask 077
cd "$HOME" && mkdir -p .sandboxer && chmod 700 .sandboxer && cd .sandboxer && pwd -P
`

export interface Answer {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: string
}

/** A program that runs there, to be read while it does. */
export interface Dialogue {
  readonly stdout: Stream.Stream<Uint8Array, HostError>
  /** Its end, once stdout was read: its exit code, undefined where the connection ended first. */
  readonly ended: Effect.Effect<{ readonly exitCode: number | undefined; readonly stderr: string }>
}

/** A folder that nobody else can write to, or a defect of the machine. */
const privateFolder = (name: string, folder: string) =>
  Effect.try({
    try: () => {
      fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
      const { mode, uid } = fs.lstatSync(folder)
      if (!fs.lstatSync(folder).isDirectory() || uid !== userInfo().uid || (mode & 0o077) !== 0) {
        throw new Error(`${folder} is not a folder of ours alone`)
      }
    },
    catch: (cause) =>
      new HostError({
        reason: "not-permitted",
        host: name,
        message: `no private folder for the connection: ${describeError(cause)}`,
        hint: `remove ${folder}, or set SANDBOXER_HOME to a folder of yours with a short name`
      })
  })

const targetOf = (home: string, connection: Connection, timing: TimingShape["ssh"]): SshTarget => {
  const digest = createHash("sha256")
    .update(
      JSON.stringify([home, connection.host, connection.port, connection.user, connection.identityFile])
    )
    .digest("hex")
    .slice(0, 12)
  const near = join(home, "ssh", digest)
  const far = join("/tmp", `sandboxer-${userInfo().uid}`, digest)
  return {
    connection,
    socket: Buffer.byteLength(near) <= longestSocket ? near : far,
    knownHosts: join(home, "known_hosts"),
    timing
  }
}

export interface Link {
  readonly name: string
  readonly timing: TimingShape
  /** The pauses before a lost connection is tried again. */
  readonly backoff: Schedule.Schedule<unknown>
  /** The host as it is called on a command line of ssh, behind these arguments, which use the shared connection. */
  readonly destination: string
  readonly arguments: ReadonlyArray<string>
  /** Connects, unless there is a connection; a host that was reached before is waited for. */
  readonly connect: Effect.Effect<Known, HostError>
  /** See `HostShape.becomes`. */
  readonly becomes: (connected: boolean) => Effect.Effect<void>
  /** See `HostShape.prepare`. */
  readonly prepare: Effect.Effect<void>
  /** Whether the shared connection is there. */
  readonly lives: Effect.Effect<boolean, HostError>
  /** Has a program run to its end there; `again` where that may happen twice, should the connection be lost. */
  readonly ask: (
    question: Question,
    options?: { readonly again?: boolean }
  ) => Effect.Effect<Answer, HostError>
  readonly open: (question: Question) => Effect.Effect<Dialogue, HostError, Scope.Scope>
}

export const processError = (name: string) => (error: Processes.ProcessError) =>
  error.reason === "not-found"
    ? new HostError({
        reason: "program-missing",
        host: name,
        message: `${name} is reached by ${error.program}, which is not on the PATH here`,
        hint: installHint([error.program], "here")
      })
    : new HostError({
        reason: error.reason === "timeout" ? "no-answer" : "other",
        host: name,
        message: error.message,
        hint: "run the program by hand and see what it says"
      })

const isUnreachable = (error: HostError) => error.reason === "unreachable"

/** `home` is our state directory here. */
export const make = (name: string, home: string, connection: Connection, timing: TimingShape): Link => {
  const limits = timing.ssh
  const target = targetOf(home, connection, limits)
  const backoff = Schedule.exponential(limits.retryFirst).pipe(
    Schedule.either(Schedule.spaced(limits.retryMax))
  )
  const knownFile = `${target.socket}.json`
  const fail = Effect.mapError(processError(name))
  const ssh = (args: ReadonlyArray<string>): Processes.ProcessCommand => ({ program: "ssh", args })
  const words = (options: ReadonlyArray<string>, line = Shell.bootstrap) => [
    ...options,
    ...["-T", "--", connection.host, line]
  ]
  // One that was made already, by whichever process.
  let known: Known | undefined
  let reached = false
  let isConnected = true
  const listeners = new Set<(connected: boolean) => void>()
  const tell = (connected: boolean) => {
    if (connected === isConnected) return
    isConnected = connected
    for (const listener of listeners) listener(connected)
  }
  const becomes = (wanted: boolean) =>
    Effect.async<void>((resume) => {
      const listener = (connected: boolean) => {
        if (connected !== wanted) return
        listeners.delete(listener)
        resume(Effect.void)
      }
      listeners.add(listener)
      listener(isConnected)
      return Effect.sync(() => void listeners.delete(listener))
    })
  const lost = () => {
    known = undefined
    tell(false)
  }

  const readKnown = Effect.suspend(() =>
    fs.existsSync(target.socket) && fs.existsSync(knownFile)
      ? Effect.option(Schema.decode(KnownJson)(fs.readFileSync(knownFile, "utf8")))
      : Effect.succeedNone
  )
  // Its master greets whoever comes to its socket, which is sooner known than by a process for `ssh -O check`.
  const lives = Effect.async<boolean>((resume) => {
    const socket = connectTo(target.socket)
    const tell = (greeted: boolean) => resume(Effect.succeed(greeted))
    socket.once("data", () => {
      socket.destroy()
      tell(true)
    })
    socket.on("error", () => tell(false))
    socket.once("close", () => tell(false))
    return Effect.sync(() => void socket.destroy())
  })

  const input = ({ args, held = false, input = "", program }: Question) => ({
    input: `${Shell.program(program, args)}${input}`,
    held
  })

  const dialogue = (options: ReadonlyArray<string>, question: Question) =>
    Effect.map(
      fail(Processes.piped(ssh(words(options)), timing.process, input(question))),
      ({ ended, stdout }) => {
        const start = Shell.afterBegin()
        return {
          begun: start.begun,
          stdout: Stream.filterMap(stdout, (piece) => {
            const bytes = start.take(piece)
            return bytes.length === 0 ? Option.none() : Option.some(bytes)
          }),
          ended: Effect.map(ended, (result) => Shell.parseEnd(result.stderr, result.tail))
        }
      }
    )

  const answered = (printed: { readonly stdout: Buffer; readonly stderr: string; readonly tail: string }) => {
    const start = Shell.afterBegin()
    const stdout = Buffer.from(start.take(printed.stdout)).subarray(0, timing.process.outputBytes)
    const { exitCode, stderr } = Shell.parseEnd(printed.stderr, printed.tail)
    return { begun: start.begun(), exitCode, stdout, stderr, said: printed.stderr }
  }
  const answer = (options: ReadonlyArray<string>, question: Question) =>
    Effect.map(fail(Processes.converse(ssh(words(options)), timing.process, input(question))), answered)
  const loop = Loop.make(
    Processes.answering(ssh(words(sharing(target), Shell.loop)), timing.process),
    limits.shellIdle
  )
  const answerByLoop = (question: Question) => Effect.map(fail(loop.ask(question)), answered)

  const ownConfiguration = fail(
    Processes.run(ssh(["-G", ...where(connection), "--", connection.host]), timing.process)
  )

  const connectNow = Effect.gen(function* () {
    yield* privateFolder(name, dirname(target.socket))
    yield* Effect.sync(() => fs.mkdirSync(home, { recursive: true, mode: 0o700 }))
    const { exitCode: configured, stderr, stdout } = yield* ownConfiguration
    if (configured !== 0) return yield* connectError(name, target, stderr)
    const found = yield* answer(connecting(target, parseConfiguration(stdout)), {
      program: hello,
      args: []
    })
    if (found.exitCode === undefined) return yield* connectError(name, target, found.said)
    if (found.exitCode !== 0) {
      return yield* fileError(name, "~/.sandboxer cannot be made", found.stderr.split("\n").at(-1) ?? "")
    }
    const [, host = connection.host, port = "22", user = ""] =
      /^debug1: Authenticating to (.+):(\d+) as '(.*)'/m.exec(found.said) ?? []
    const now: Known = {
      home: found.stdout.toString("utf8").replace(/\n$/, ""),
      host,
      port: Number(port),
      user,
      keyFingerprint: /^debug1: Server host key: \S+ (SHA256:\S+)/m.exec(found.said)?.[1] ?? null
    }
    // Another process made it, and wrote down what it is.
    if (user === "")
      return yield* Effect.map(
        readKnown,
        Option.getOrElse(() => now)
      )
    yield* Effect.sync(() => {
      fs.writeFileSync(`${knownFile}.${process.pid}`, JSON.stringify(now), { mode: 0o600 })
      fs.renameSync(`${knownFile}.${process.pid}`, knownFile)
      if (fs.existsSync(target.knownHosts)) fs.chmodSync(target.knownHosts, 0o600)
    })
    return now
  })

  const connectOnce = Effect.gen(function* () {
    if (known !== undefined && fs.existsSync(target.socket)) return known
    const kept = yield* readKnown
    known = Option.isSome(kept) && (yield* lives) ? kept.value : yield* connectNow
    reached = true
    tell(true)
    return known
  })
  const connect = Effect.retry(connectOnce, {
    while: (error) => isUnreachable(error) && reached,
    schedule: Schedule.upTo(backoff, limits.outage)
  })

  // A server lets a connection have so many sessions at once, ten as a rule: then one of its own.
  const alone = Effect.map(ownConfiguration, ({ stdout }) => [
    "-o",
    "ControlMaster=no",
    "-o",
    "ControlPath=none",
    ...connecting(target, parseConfiguration(stdout))
  ])

  /** Which options to use now: the shared connection's where it can be had. */
  const begin = <A extends { readonly begun: boolean; readonly exitCode: number | undefined }>(
    attempt: (options: ReadonlyArray<string>) => Effect.Effect<A, HostError>,
    firstAttempt = attempt(sharing(target))
  ) =>
    Effect.gen(function* () {
      yield* connect
      const first = yield* firstAttempt
      if (first.begun) return first
      known = undefined
      yield* connect
      const second = yield* attempt(sharing(target))
      return second.begun ? second : yield* attempt(yield* alone)
    })

  const ask: Link["ask"] = (question, { again = true } = {}) =>
    Effect.flatMap(
      begin(
        (options) => answer(options, question),
        question.input === undefined && question.lone !== true ? answerByLoop(question) : undefined
      ),
      ({ exitCode, stderr, stdout }) => {
        if (exitCode !== undefined) return Effect.succeed({ exitCode, stdout, stderr })
        lost()
        return linkLost(name)
      }
    ).pipe(
      Effect.retry({
        while: (error) => again && isUnreachable(error) && reached,
        schedule: Schedule.intersect(backoff, Schedule.recurs(limits.retries))
      })
    )

  let shares = true
  const open: Link["open"] = (question) =>
    Effect.gen(function* () {
      yield* connect
      const { begun, ended, stdout } = yield* dialogue(shares ? sharing(target) : yield* alone, question)
      return {
        stdout,
        ended: Effect.tap(ended, ({ exitCode }) =>
          Effect.sync(() => {
            shares = begun()
            if (exitCode === undefined) lost()
          })
        )
      }
    })

  return {
    name,
    timing,
    backoff,
    destination: connection.host,
    arguments: sharing(target),
    connect,
    becomes,
    prepare: Effect.ignore(loop.prepare),
    lives,
    ask,
    open
  }
}

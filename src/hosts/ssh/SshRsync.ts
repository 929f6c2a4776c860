/** rsync over the connection that all commands to a host share. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { HostPath } from "../../domain/HostPath.js"
import * as Processes from "../../internal/Processes.js"
import { HostError } from "../Host.js"
import * as Fence from "../jobs/Fence.js"
import { fileError, linkLost, missingProgram } from "./SshErrors.js"
import { type Link, processError } from "./SshLink.js"
import { quote } from "./SshShell.js"

/** A word for rsync's `--rsh`, which knows quotes, and a quote in them by doubling it. */
const word = (text: string) => `'${text.replaceAll("'", "''")}'`

/**
 * A shell that leaves ssh to itself. rsync would wait for it, and looks each 20 ms whether it has ended; it ends with the
 * rsync over there, which waits for its own child like that: all that was to be done was done and told before. Where ssh fails,
 * its exit code is told behind this mark.
 */
const mark = "sandboxer-rsh"
const leave = word(`exec 3<&0; { "$@" <&3 3<&- || echo "${mark} $?" >&2; } &`)
const told = new RegExp(`^${mark} (\\d+)$`, "m")

/** Ends that speak of the connection: no start, broken protocol, socket, timeout, ssh's own. */
const ofConnection = [5, 10, 12, 30, 35, 255]

export const rsyncOver = (link: Link) => {
  const rsh = ["sh", "-c", leave, mark, "ssh", ...link.arguments.map(word), "-T", "--"].join(" ")
  const at = (path: HostPath) =>
    `${link.destination.includes(":") ? `[${link.destination}]` : link.destination}:${path}`

  const failure = (ownCode: number, stderr: string): HostError => {
    // As rsync has it where it waits for ssh.
    const exitCode = Math.max(ownCode, Number(told.exec(stderr)?.[1] ?? 0))
    const said = stderr
      .trim()
      .split("\n")
      .filter((line) => !/^rsync error:/.test(line) && !told.test(line))
    if (Fence.wasRefused(stderr)) return Fence.takenDown(link.name)
    if (
      /rsync: (command )?not found|(unknown command|command not found): rsync/i.test(stderr) ||
      exitCode === 127
    ) {
      return missingProgram(link.name, "rsync")
    }
    if (/is your shell clean/.test(stderr)) {
      return new HostError({
        reason: "other",
        host: link.name,
        message: `the login shell of ${link.name} prints something of its own, which rsync cannot bear`,
        hint: `have its start-up files print nothing where there is no terminal: \`ssh ${link.destination} true\` shows it`
      })
    }
    const found = fileError(link.name, "rsync", said[0] ?? "")
    return found.reason === "other" && ofConnection.includes(exitCode)
      ? linkLost(link.name)
      : new HostError({
          ...found,
          message: `rsync with ${link.name} failed: ${said[0] ?? `exit code ${exitCode}`}`
        })
  }

  const run = (args: ReadonlyArray<string>, input: string) =>
    Effect.gen(function* () {
      yield* link.connect
      return yield* Effect.scoped(
        Effect.gen(function* () {
          const { ended, stdout } = yield* Processes.piped(
            { program: "rsync", args: [`--rsh=${rsh}`, "--protect-args", ...args] },
            link.timing.process,
            { input, held: false, leaves: true }
          )
          const decoder = new TextDecoder()
          const text = yield* Stream.runFold(
            stdout,
            "",
            (before, piece) => before + decoder.decode(piece, { stream: true })
          )
          const { exitCode, stderr } = yield* ended
          return exitCode === 0 ? text : yield* failure(exitCode, stderr)
        })
      ).pipe(Effect.catchTag("ProcessError", (error) => processError(link.name)(error)))
    }).pipe(
      // It goes on where it was; a host that cannot be reached at all was waited for already.
      Effect.retry({
        while: ({ reason }) => reason === "unreachable",
        schedule: Schedule.intersect(link.backoff, Schedule.recurs(link.timing.ssh.retries))
      })
    )

  return {
    /** Sends what is at a local path, as rsync takes it; behind a fence, if there is one. */
    push: (options: ReadonlyArray<string>, from: string, to: HostPath, fence?: HostPath) =>
      run(
        [
          ...options,
          ...(fence === undefined ? [] : [`--rsync-path=${Fence.line(fence, "rsync", quote)}`]),
          "--",
          from,
          at(to)
        ],
        ""
      ),
    /** Brings what is at a path there. */
    pull: (options: ReadonlyArray<string>, from: HostPath, to: string, input = "") =>
      run([...options, "--", at(from), to], input)
  }
}

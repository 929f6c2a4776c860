import * as Effect from "effect/Effect"
import { ProvisionError } from "../../../../domain/Failure.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import type { CommandRun } from "./runCommand.js"

/** Fails if the command failed, after its receipt is written. Not journaled: it only reads the command's result. */
export const failAsCommand = Effect.fn(function* (run: CommandRun | undefined) {
  if (run === undefined || run.exitCode === 0) return
  const reporter = yield* Reporter
  return yield* run.exitCode === null
    ? new ProvisionError({
        reason: "interrupted",
        message: "the command was interrupted: it is gone and left no exit code",
        hint: "the machine was restarted, the processes were killed, or its disk was full; create the sandbox again"
      })
    : new ProvisionError({
        reason: "command-failed",
        message: `the command ended with exit code ${run.exitCode}: ${excerpt(run.command)}`,
        hint: "see the last lines of the log",
        logTail: yield* reporter.tail
      })
})

const longestExcerpt = 120

/** The beginning of a command, for a message of one line. The record and the receipt have all of it. */
const excerpt = (command: string) => {
  const [first = "", ...more] = command.trim().split("\n")
  return first.length > longestExcerpt || more.length > 0 ? `${first.slice(0, longestExcerpt)}…` : first
}

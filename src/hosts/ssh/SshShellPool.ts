/** One shell there for questions that follow closely upon each other: to start another takes most of the time. */
import { randomBytes } from "node:crypto"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Processes from "../../internal/Processes.js"
import type { Question } from "./SshShell.js"
import * as Shell from "./SshShell.js"

/** Has programs of ours run, one after the other; those at the same time have a shell each. An idle one is kept for `idleFor`. */
export const make = <E>(open: Effect.Effect<Processes.Answering, E>, idleFor: Duration.Duration) => {
  let idle: Processes.Answering | undefined
  let leaving: NodeJS.Timeout | undefined

  const take = () => {
    const shell = idle
    idle = undefined
    clearTimeout(leaving)
    return shell?.lives() === true ? shell : undefined
  }
  const keep = (shell: Processes.Answering) => {
    if (idle !== undefined) return shell.leave()
    idle = shell
    leaving = setTimeout(() => take()?.leave(), Duration.toMillis(idleFor)).unref()
  }

  const ask = ({ args, held = false, program }: Question) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const shell = take() ?? (yield* open)
        const mark = randomBytes(12).toString("hex")
        const text = held ? program : `exec </dev/null\n${program}`
        const { isWhole, stderr, stdout, tail } = yield* Effect.onInterrupt(
          restore(shell.exchange(Shell.program(text, args, mark), mark)),
          () => Effect.sync(shell.leave)
        )
        if (isWhole) keep(shell)
        // Of what is too long to be kept whole the mark is cut off.
        const at = stdout.lastIndexOf(`\n${mark}\n`)
        return { stdout: at === -1 ? stdout : stdout.subarray(0, at), stderr, tail }
      })
    )

  /** Has a shell there for the next question, which is then answered sooner. */
  const prepare = Effect.suspend(() =>
    idle === undefined ? Effect.uninterruptible(Effect.map(open, keep)) : Effect.void
  )

  return { ask, prepare }
}

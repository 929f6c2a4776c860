/**
 * Keeps a supervisor that lost its lease from what others use by now. A fence is the name of a folder: what runs behind it
 * has that name in its environment from its very beginning, and looks only then whether the fence was taken down. Whoever
 * takes it down (`Host.stopJob`) claims it first and looks for the name after that: so nothing slips through between.
 */
import type { HostPath } from "../../domain/HostPath.js"
import { type Command, cookie, HostError } from "../Host.js"

const mark = "sandboxer-fenced-off"
const refused = 96

/**
 * `FENCE PROGRAM ARGS…`. The folder that the fence is in goes with the attempt, and is never made again. Without a `!`
 * or a single quote, for any login shell.
 */
const program = `test -e "$1/claim" || { test -d "\${1%/*}" && shift && exec "$@"; }; echo ${mark} >&2; exit ${refused}`

/** A command that does nothing where its fence was taken down. */
export const behind = (fence: HostPath, command: Command): Command => ({
  ...command,
  program: "sh",
  args: ["-c", program, "sandboxer-fenced", fence, command.program, ...command.args],
  env: { ...command.env, [cookie]: fence }
})

/** The same as words for a login shell, `quote` being how that takes a word; arguments may be put behind it. */
export const line = (fence: HostPath, command: string, quote: (word: string) => string): string =>
  `env ${quote(`${cookie}=${fence}`)} sh -c ${quote(program)} sandboxer-fenced ${quote(fence)} ${command}`

/** Whether it was not let through; rsync has an exit code of its own for that. */
export const wasRefused = (stderr: string): boolean => stderr.includes(mark)

export const takenDown = (host: string): HostError =>
  new HostError({
    reason: "other",
    host,
    message: `nothing more is changed on ${host}: another supervisor took over, or the provision has ended`,
    hint: "`sandboxer show` says how it goes"
  })

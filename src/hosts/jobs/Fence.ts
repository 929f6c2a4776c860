/**
 * The fence keeps a supervisor that lost its lease from changing what others use by now. It is the path of a folder. A command
 * behind it carries that path as its cookie from its first instruction, and only then checks whether the fence is closed.
 * Closing it (`Host.stopJob`) creates the claim first and searches for the cookie after that, so no command slips through.
 */
import type { HostPath } from "../../domain/HostPath.js"
import { type Command, cookie, HostError } from "../Host.js"

const mark = "sandboxer-fenced-off"
const refused = 96

/**
 * `FENCE PROGRAM ARGS…`. The parent folder of the fence is removed with the attempt and never created again. The text has no `!`
 * and no single quote, so that any login shell accepts it.
 */
const program = `test -e "$1/claim" || { test -d "\${1%/*}" && shift && exec "$@"; }; echo ${mark} >&2; exit ${refused}`

/** A command that does nothing if its fence is closed. */
export const behind = (fence: HostPath, command: Command): Command => ({
  ...command,
  program: "sh",
  args: ["-c", program, "sandboxer-fenced", fence, command.program, ...command.args],
  env: { ...command.env, [cookie]: fence }
})

/** The same as words for a login shell; `quote` quotes a word for it. Arguments may be appended. */
export const line = (fence: HostPath, command: string, quote: (word: string) => string): string =>
  `env ${quote(`${cookie}=${fence}`)} sh -c ${quote(program)} sandboxer-fenced ${quote(fence)} ${command}`

/** Whether the fence stopped the command; rsync has its own exit code for that. */
export const wasRefused = (stderr: string): boolean => stderr.includes(mark)

export const takenDown = (host: string): HostError =>
  new HostError({
    reason: "other",
    host,
    message: `nothing more is changed on ${host}: another supervisor took over, or the provision has ended`,
    hint: "`sandboxer show` says how it goes"
  })

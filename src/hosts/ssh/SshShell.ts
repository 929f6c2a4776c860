/**
 * Programs for the POSIX shell of a machine behind SSH, and what they answer.
 *
 * The login shell there may be any: the one line that it gets is always the same, and means the same to all. It has
 * sh read the program from stdin, so that nothing of it stands on a command line, where others could see it.
 */

/** A program of sh for the other side, with its arguments. */
export interface Question {
  readonly program: string
  readonly args: ReadonlyArray<string>
  /** The program's stdin. */
  readonly input?: string
  /** Whether its stdin stays open for as long as we are there, so that it can tell when we are not. */
  readonly held?: boolean
  /** Whether it has a shell of its own: what it leaves behind may print into the next one's answer. */
  readonly lone?: boolean
}

/** Begins what a program prints: a login shell may have greeted before. */
const begin = "sandboxer-begin\n"
/** Ends it, with its exit code: by this the end of the program is told from that of the connection. */
const end = "\nsandboxer-end "

const newline = ['sbx_n=$(printf "\\nx")', `sbx_n=\${sbx_n%x}`]
const readLines = [
  "sbx_s=",
  'while [ "$sbx_c" -gt 0 ]; do IFS= read -r sbx_l || exit 97; sbx_s=$sbx_s$sbx_l$sbx_n sbx_c=$((sbx_c-1)); done'
]

/** Reads the number of the program's lines and these lines, and runs them; what follows on stdin is theirs. */
export const bootstrap = `exec /bin/sh -c '${[
  ...newline,
  "IFS= read -r sbx_c || exit 97",
  ...readLines,
  'eval "$sbx_s"'
].join("; ")}'`

/** The same for one program after the other, until stdin ends: behind each it prints the mark that came with it. */
export const loop = `exec /bin/sh -c '${[
  ...newline,
  `while IFS=" " read -r sbx_c sbx_m; do ${readLines.join("; ")}`,
  '(eval "$sbx_s")',
  'printf "\\n%s\\n" "$sbx_m"',
  'printf "\\n%s\\n" "$sbx_m" >&2; done'
].join("; ")}'`

/** A word as sh reads it back, whatever is in it. */
export const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/** What is sent for a program: itself, its arguments being `$1` and so on; the mark is for the loop. */
export const program = (text: string, args: ReadonlyArray<string>, mark?: string): string => {
  const lines = [
    `printf '%s\\n' ${quote(begin.trim())}`,
    `trap 'sbx_c=$?; printf "\\nsandboxer-end %s\\n" "$sbx_c" >&2' EXIT`,
    `set -- ${args.map(quote).join(" ")}`,
    text.trim(),
    "exit 0"
  ]
    .join("\n")
    .split("\n")
  return `${lines.length}${mark === undefined ? "" : ` ${mark}`}\n${lines.join("\n")}\n`
}

/** Takes away what came before the program began; `begun` tells whether it has. */
export const afterBegin = () => {
  let before: Uint8Array | undefined = new Uint8Array()
  const mark = Buffer.from(begin)
  return {
    begun: () => before === undefined,
    take: (piece: Uint8Array): Uint8Array => {
      if (before === undefined) return piece
      const all = Buffer.concat([before, piece])
      const at = all.indexOf(mark)
      before = at === -1 ? all : undefined
      return at === -1 ? new Uint8Array() : all.subarray(at + mark.length)
    }
  }
}

/** The program's exit code, if it came to its end, and what it printed to stderr. */
export const parseEnd = (stderr: string, tail: string) => {
  const code = /\nsandboxer-end (\d+)\n/.exec(tail.slice(Math.max(0, tail.lastIndexOf(end))))?.[1]
  const at = stderr.lastIndexOf(end)
  return {
    exitCode: code === undefined ? undefined : Number(code),
    stderr: at === -1 ? stderr : stderr.slice(0, at)
  }
}

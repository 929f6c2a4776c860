/**
 * A login shell that is not sh, as csh, fish and rc are not: it knows words and quotes, each quote without exceptions,
 * and nothing else. As sshd's ForceCommand it is given what was asked for in SSH_ORIGINAL_COMMAND. Behind its options,
 * a greeting that it prints before anything else, to stdout, as a careless one does.
 */
import { spawn } from "node:child_process"

const [greeting] = process.argv.slice(2)
const line = process.env.SSH_ORIGINAL_COMMAND ?? ""
if (greeting !== undefined) process.stdout.write(`${greeting}\n`)

/** Its words; undefined where something else is in it. */
const wordsOf = () => {
  const words = []
  let rest = line
  while (rest !== "") {
    // Within quotes csh would replace an exclamation mark, and end at a line's end; fish knows a backslash there.
    const word = /^(?:[A-Za-z0-9_./:=,@%+-]|'(?:[^'!\n\\]|\\(?![\\']))*'|\\['\\ ])+/.exec(rest)?.[0]
    if (word === undefined) return undefined
    words.push(word.replaceAll(/'([^']*)'|\\(.)/g, (_, quoted, escaped) => quoted ?? escaped))
    rest = rest.slice(word.length).replace(/^ +/, "")
  }
  return words
}

const words = wordsOf()
const [program, ...args] = words?.[0] === "exec" ? words.slice(1) : (words ?? [])
if (program === undefined) {
  process.stderr.write(`login-shell: syntax error: ${line}\n`)
  process.exitCode = 2
} else {
  const child = spawn(program, args, { stdio: "inherit" })
  child.once("error", (error) => {
    process.stderr.write(`login-shell: ${error.message}\n`)
    process.exitCode = 127
  })
  child.once("close", (code, signal) => {
    if (signal !== null) process.kill(process.pid, signal)
    process.exitCode = code ?? 1
  })
}

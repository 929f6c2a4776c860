/** Asking for a secret at the terminal, without showing what is typed. */
import * as readline from "node:readline"
import { Writable } from "node:stream"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { UsageError } from "../domain/Errors.js"
import type { AskSecret } from "../sandboxes/Sandboxes.js"
import { printable } from "./Printer.js"

const nowhere = () => new Writable({ write: (_chunk, _encoding, done) => done() })

/** Reads a line. Ctrl-C interrupts; Ctrl-D returns an empty line. */
const hiddenLine = (question: string): Effect.Effect<string> =>
  Effect.async((resume) => {
    const reader = readline.createInterface({
      input: process.stdin,
      output: nowhere(),
      terminal: true,
      historySize: 0
    })
    const end = (answer: Effect.Effect<string>) => {
      resume(answer)
      reader.close()
    }
    reader.once("line", (line) => end(Effect.succeed(line)))
    reader.once("SIGINT", () => end(Effect.interrupt))
    // Also called after a line or Ctrl-C; `resume` ignores every call but the first.
    reader.once("close", () => {
      process.stderr.write("\n")
      resume(Effect.succeed(""))
    })
    process.stderr.write(question)
    return Effect.sync(() => reader.close())
  })

const ask: AskSecret = (name, description) =>
  Effect.gen(function* () {
    const what = description === undefined ? name : `${name} (${printable(description)})`
    const answer = yield* hiddenLine(`${what}, hidden as you type: `)
    if (answer !== "") return Redacted.make(answer)
    return yield* new UsageError({
      reason: "input",
      message: `input ${name}: nothing was typed`,
      hint: `type it, or give its source: -i ${name}=env:NAME or -i ${name}=@FILE`
    })
  })

/** Undefined without a terminal. */
export const askSecret: AskSecret | undefined = process.stdin.isTTY && process.stderr.isTTY ? ask : undefined

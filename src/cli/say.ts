import * as Effect from "effect/Effect"

/** A line for the person at the terminal: to stderr, since stdout is for data. */
export const say = (line: string): Effect.Effect<void> =>
  Effect.sync(() => void process.stderr.write(`${line}\n`))

export const sayAll = (lines: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.forEach(lines, say, { discard: true })

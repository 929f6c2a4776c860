import * as Command from "@effect/cli/Command"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { NotFound } from "../domain/Errors.js"
import { hasEnded } from "../domain/Sandbox.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import * as options from "./Options.js"
import { printable } from "./Printer.js"
import { streamLog } from "./Progress.js"
import { find, reference } from "./SandboxArgument.js"

// A terminal acts on what a guest prints; a file or a pipe gets it as it is.
const write = (bytes: Uint8Array) =>
  void process.stdout.write(process.stdout.isTTY ? printable(Buffer.from(bytes).toString("utf8")) : bytes)

/** Where the last `count` lines begin. */
const tailOffset = (bytes: Uint8Array, count: number): number => {
  let left = count
  for (let at = bytes.length - 2; at >= 0; at--) {
    if (bytes[at] === 0x0a && --left === 0) return at + 1
  }
  return 0
}

export const logs = Command.make(
  "logs",
  {
    id: reference,
    follow: options.flag("follow", "Go on until the provision has ended", "f"),
    tail: options.optional(options.integer("tail", "The last lines alone"))
  },
  ({ follow, id, tail }) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const manager = yield* Sandboxes
      const sandbox = yield* find(id)
      const path = sandbox.logPath
      const bytes =
        path === null ? new Uint8Array() : yield* Effect.orElseSucceed(fs.readFile(path), () => undefined)
      if (bytes === undefined) {
        return yield* new NotFound({
          reason: "log",
          message: `the log of ${sandbox.name} is gone`,
          hint: `it was ${path}`
        })
      }
      yield* Effect.sync(() =>
        write(
          tail === undefined ? bytes : tail <= 0 ? new Uint8Array() : bytes.subarray(tailOffset(bytes, tail))
        )
      )
      if (!follow || hasEnded(sandbox.state)) return
      yield* Effect.all([manager.wait(sandbox.id), streamLog(sandbox.id, bytes.length, write)], {
        concurrency: "unbounded",
        discard: true
      })
    })
).pipe(Command.withDescription("Print the redacted log of a provision"))

import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import * as options from "./Options.js"
import { printable } from "./Printer.js"
import { find, reference } from "./SandboxArgument.js"

/** Writes to stdout, at the speed of its reader. */
const write = (data: string | Uint8Array) =>
  Effect.async<void>((resume) => void process.stdout.write(data, () => resume(Effect.void)))

export const logs = Command.make(
  "logs",
  {
    id: reference,
    follow: options.flag("follow", "Go on until the provision has ended", "f"),
    tail: options.optional(options.integer("tail", "The last lines alone"))
  },
  ({ follow, id, tail }) =>
    Effect.gen(function* () {
      const sandboxes = yield* Sandboxes
      const { id: found } = yield* find(id)
      const log = sandboxes.log(found, { follow, ...(tail === undefined ? {} : { tail }) })
      // A terminal acts on what a guest prints; a file or a pipe gets the log as it is.
      yield* process.stdout.isTTY
        ? log.pipe(Stream.decodeText(), Stream.map(printable), Stream.runForEach(write))
        : Stream.runForEach(log, write)
    })
).pipe(Command.withDescription("Print the redacted log of a provision"))

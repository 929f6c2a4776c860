import * as Command from "@effect/cli/Command"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { UsageError } from "../../domain/Errors.js"
import { flush as run } from "../../hub/client/Delivery.js"
import { Timing } from "../../settings/Timing.js"
import { SandboxStore } from "../../store/SandboxStore.js"
import { Ended } from "../ExitCode.js"
import { warnOfHub } from "../NotifyHub.js"
import { printable } from "../Printer.js"
import { say, sayAll } from "../say.js"

/** 4: it does not let us in; 13: another process is at it; 14: it cannot be reached. */
const failed = (exitCode: number, message: string, hint: string) =>
  Effect.zipRight(
    sayAll([`error: ${printable(message)}`, `hint: ${hint}`]),
    Effect.fail(new Ended({ exitCode }))
  )

export const flush = Command.make("flush", {}, () =>
  Effect.gen(function* () {
    yield* warnOfHub
    const outcome = yield* run(Duration.toSeconds((yield* Timing).hub.flushTimeout))
    const { refused, sender, waiting } = yield* Effect.flatMap(SandboxStore, ({ outbox }) => outbox.status)
    const notes = waiting === 1 ? "1 note waits" : `${waiting} notes wait`
    switch (outcome) {
      case "untold":
        return yield* new UsageError({
          reason: "configuration",
          message: "there is no State Hub",
          hint: "set STATE_HUB_URL, or hub.url in the configuration"
        })
      case "busy":
        return yield* failed(
          13,
          `${notes}: another process delivers`,
          "`sandboxer hub status` says which, and how far it is"
        )
      case "later":
        return sender.delivering.paused
          ? yield* failed(
              4,
              `${notes}: ${sender.delivering.answer}`,
              "check STATE_HUB_URL, STATE_HUB_TOKEN and hub"
            )
          : yield* failed(
              14,
              `${notes}: ${sender.delivering.answer}`,
              "they are delivered once it can be reached"
            )
      case "none":
        if (refused > 0) {
          yield* say(
            `warning: ${refused} ${refused === 1 ? "note was" : "notes were"} put aside; see \`sandboxer hub status\``
          )
        }
    }
  })
).pipe(Command.withDescription("Tell the State Hub what waits now; tries again for up to 30 s"))

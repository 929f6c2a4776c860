import * as Command from "@effect/cli/Command"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { UsageError } from "../../domain/Errors.js"
import { flush as run } from "../../hub/client/Delivery.js"
import { Timing } from "../../settings/Timing.js"
import { SandboxStore } from "../../store/SandboxStore.js"
import { end, failed } from "../ExitCode.js"
import { warnOfHub } from "../NotifyHub.js"
import { report } from "../Printer.js"

export const flush = Command.make("flush", {}, () =>
  Effect.gen(function* () {
    yield* warnOfHub
    const outcome = yield* run(Duration.toSeconds((yield* Timing).hub.flushTimeout))
    const { delivering, refused, waiting } = yield* Effect.flatMap(
      SandboxStore,
      ({ outbox }) => outbox.status
    )
    const notes = waiting === 1 ? "1 note waits" : `${waiting} notes wait`
    switch (outcome) {
      case "no-hub":
        return yield* new UsageError({
          reason: "configuration",
          message: "there is no State Hub",
          hint: "set STATE_HUB_URL, or hub.url in the configuration"
        })
      case "busy":
        return yield* end(
          failed(
            13,
            `${notes}: another process delivers`,
            "`sandboxer hub status` says which, and how far it is"
          )
        )
      case "later":
        return delivering.paused
          ? yield* end(
              failed(4, `${notes}: ${delivering.answer}`, "check STATE_HUB_URL, STATE_HUB_TOKEN and hub")
            )
          : yield* end(
              failed(14, `${notes}: ${delivering.answer}`, "they are delivered once it can be reached")
            )
      case "none":
        if (refused > 0) {
          yield* report(
            `warning: ${refused} ${refused === 1 ? "note was" : "notes were"} rejected; see \`sandboxer hub status\``
          )
        }
    }
  })
).pipe(Command.withDescription("Tell the State Hub what waits now; tries again for up to 30 s"))

import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { NotFound } from "../../domain/Errors.js"
import { didYouMean } from "../../domain/Nearest.js"
import { SandboxStore } from "../../store/SandboxStore.js"
import { notifyHub } from "../NotifyHub.js"
import { report } from "../Printer.js"

export const retry = Command.make(
  "retry",
  {
    ids: Args.text({ name: "ID" }).pipe(
      Args.withDescription("Notes that were put aside, by their ids; all where none is given"),
      Args.repeated
    )
  },
  ({ ids }) =>
    Effect.gen(function* () {
      const { outbox } = yield* SandboxStore
      const known = (yield* outbox.refused).map(({ note }) => note.id)
      const unknown = ids.find((id) => !known.includes(id))
      if (unknown !== undefined) {
        return yield* new NotFound({
          reason: "note",
          message: `no note ${unknown} was put aside`,
          hint: didYouMean(unknown, known, "`sandboxer hub status` shows those that were")
        })
      }
      const number = yield* outbox.retry(ids)
      yield* report(number === 1 ? "1 note waits again" : `${number} notes wait again`)
    }).pipe(notifyHub)
).pipe(Command.withDescription("Have notes that were put aside wait to be delivered again"))

import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ProgressEvent } from "../domain/ProgressEvent.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { Timing } from "../settings/Timing.js"
import * as options from "./Options.js"
import { events as kind, printList, printOne } from "./Printer.js"
import { find } from "./SandboxArgument.js"

// One at a time, so that whoever reads them need not wait for the last.
const printEach = (format: options.Format, event: ProgressEvent) =>
  printOne(
    format === "json" ? "ndjson" : format === "table" ? "name" : format,
    format === "table" ? asLine : kind,
    event
  )

const asLine = {
  ...kind,
  name: (event: ProgressEvent) => kind.columns.map(([, cell]) => cell(event)).join("  ")
}

export const events = Command.make(
  "events",
  {
    id: Args.text({ name: "ID" }).pipe(
      Args.withDescription("A sandbox; all of them where it is left out"),
      Args.optional
    ),
    follow: options.flag("follow", "Go on as they come", "f"),
    output: options.output
  },
  ({ follow, id, output }) =>
    Effect.gen(function* () {
      const manager = yield* Sandboxes
      if (Option.isSome(id)) {
        const sandbox = yield* find(id.value)
        return yield* follow
          ? Stream.runForEach(manager.follow(sandbox.id, 0), (event) => printEach(output, event))
          : Effect.flatMap(manager.events(sandbox.id, 0), (found) => printList(output, kind, found))
      }
      const { events: found, position } = yield* manager.allEvents(0)
      if (!follow) return yield* printList(output, kind, found)
      const { eventsPoll } = (yield* Timing).progress
      yield* Effect.forEach(found, (event) => printEach(output, event), { discard: true })
      yield* Effect.iterate(position, {
        while: () => true,
        body: (after) =>
          Effect.gen(function* () {
            const next = yield* manager.allEvents(after)
            yield* Effect.forEach(next.events, (event) => printEach(output, event), { discard: true })
            yield* Effect.sleep(eventsPoll)
            return next.position
          })
      })
    })
).pipe(Command.withDescription("Print what happened, in order"))

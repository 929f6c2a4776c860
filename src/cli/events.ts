import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Event, typeOf } from "../domain/events/Event.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { Timing } from "../settings/Timing.js"
import * as options from "./Options.js"
import { type Kind, printEach, printList, time } from "./Printer.js"
import { find } from "./SandboxArgument.js"

export const eventKind: Kind<Event> = {
  kind: "Event",
  document: (event) => Schema.encodeSync(Event)(event),
  name: ({ id }) => id,
  columns: [
    ["time", ({ time: at }) => time(at)],
    ["sandbox", ({ sandboxId }) => sandboxId],
    ["seq", ({ seq }) => String(seq)],
    ["type", typeOf],
    ["phase", ({ phase }) => phase ?? "-"],
    ["message", ({ message }) => message.split("\n")[0] ?? ""]
  ]
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
          ? Stream.runForEach(manager.follow(sandbox.id, 0), (event) => printEach(output, eventKind, event))
          : Effect.flatMap(manager.events(sandbox.id, 0), (found) => printList(output, eventKind, found))
      }
      const { events: found, position } = yield* manager.allEvents(0)
      if (!follow) return yield* printList(output, eventKind, found)
      const { eventsPoll } = (yield* Timing).progress
      const print = (some: ReadonlyArray<Event>) =>
        Effect.forEach(some, (event) => printEach(output, eventKind, event), { discard: true })
      yield* print(found)
      yield* Effect.iterate(position, {
        while: () => true,
        body: (after) =>
          Effect.gen(function* () {
            const next = yield* manager.allEvents(after)
            yield* print(next.events)
            yield* Effect.sleep(eventsPoll)
            return next.position
          })
      })
    })
).pipe(Command.withDescription("Print what happened, in order"))

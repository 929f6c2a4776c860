/** Live notes, as server-sent events. */
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { Timing } from "../../../settings/Timing.js"
import type { KeptNote } from "../HubApi.js"
import { type Filter, HubStore, type HubStoreError, type Kept } from "../HubStore.js"

export interface Live {
  /** Notifies the streams of new notes. */
  readonly wake: Effect.Effect<void>
  /** The notes after a position, existing and future ones; ends when the hub does. */
  readonly from: (
    filter: Filter,
    position: number | undefined
  ) => Effect.Effect<Stream.Stream<string, HubStoreError>, HubStoreError>
  /** Ends all streams. */
  readonly close: Effect.Effect<void>
}

/** A note as clients see it. */
export const shown = ({ note, position, receivedAt }: Kept): KeptNote => ({
  position,
  received_at: receivedAt,
  ...note
})

// JSON has no line breaks in it but these, which some readers of lines take for such.
const oneLine = (json: string) =>
  json.replaceAll(
    /[\u0085\u2028\u2029]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

const event = (kept: Kept) => `id: ${kept.position}\ndata: ${oneLine(JSON.stringify(shown(kept)))}\n\n`
const comment = ": \n\n"

export const makeLive: Effect.Effect<Live, never, HubStore> = Effect.gen(function* () {
  const store = yield* HubStore
  const { streamBatch, streamComment } = (yield* Timing).hubServer
  // One that is not read replaces the one before: a stream reads all that there is each time.
  const woken = yield* PubSub.sliding<void>(1)
  const closed = yield* Deferred.make<void>()

  const next = (filter: Filter, queue: Queue.Dequeue<void>, position: number) =>
    Effect.gen(function* () {
      const newest = yield* store.newest
      const found = yield* store.page({ filter, order: "oldest", cursor: position, limit: streamBatch })
      const last = found.at(-1)?.position ?? position
      if (found.length > 0) {
        // What does not fit the filter need not be looked at again.
        const seen = found.length === streamBatch ? last : Math.max(last, newest)
        return [Chunk.fromIterable(found.map(event)), Option.some(seen)] as const
      }
      const awake = yield* Effect.timeoutOption(Queue.take(queue), streamComment)
      const quiet = Option.isNone(awake) ? Chunk.of(comment) : Chunk.empty<string>()
      return [quiet, Option.some(Math.max(position, newest))] as const
    })

  return {
    wake: Effect.asVoid(PubSub.publish(woken, undefined)),
    close: Effect.asVoid(Deferred.succeed(closed, undefined)),
    from: (filter, position) =>
      Effect.map(store.newest, (newest) => {
        // A position that is not reached yet is of another database.
        const start = position === undefined ? newest : position > newest ? 0 : position
        const notes = Stream.unwrapScoped(
          Effect.map(PubSub.subscribe(woken), (queue) =>
            Stream.paginateChunkEffect(start, (at) => next(filter, queue, at))
          )
        )
        return Stream.interruptWhenDeferred(Stream.concat(Stream.make(comment), notes), closed)
      })
  }
})

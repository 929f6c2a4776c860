/** A hub's notes in memory, for tests. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { type Filter, HubStore, type Kept } from "../HubStore.js"

const fits =
  ({ eventType, sandbox, since, task, until, workstream }: Filter) =>
  ({ note }: Kept): boolean => {
    const occurred = Date.parse(note.occurred_at)
    return (
      (workstream === undefined || note.workstream_id === workstream) &&
      (task === undefined || note.task_id === task) &&
      (sandbox === undefined || note.sandbox_id === sandbox) &&
      (eventType === undefined || note.event_type === eventType) &&
      (since === undefined || occurred >= since) &&
      (until === undefined || occurred < until)
    )
  }

/** @category layers */
export const layer: Layer.Layer<HubStore> = Layer.effect(
  HubStore,
  Effect.map(Ref.make<ReadonlyArray<Kept>>([]), (ref) => ({
    take: (notes) =>
      Effect.flatMap(DateTime.now, (now) =>
        Ref.modify(ref, (kept) => {
          const known = new Set(kept.map(({ note }) => note.id))
          const taken = notes.filter(({ id }) => !known.has(id) && known.add(id))
          const receivedAt = DateTime.formatIso(now)
          return [
            taken.length,
            [
              ...kept,
              ...taken.map((note, index) => ({ position: kept.length + index + 1, receivedAt, note }))
            ]
          ]
        })
      ),
    page: ({ cursor, filter, limit, order }) =>
      Effect.map(Ref.get(ref), (kept) => {
        const found = kept.filter(fits(filter))
        return order === "oldest"
          ? found.filter(({ position }) => position > (cursor ?? 0)).slice(0, limit)
          : found
              .toReversed()
              .filter(({ position }) => cursor === undefined || position < cursor)
              .slice(0, limit)
      }),
    newest: Effect.map(Ref.get(ref), ({ length }) => length),
    size: Effect.map(Ref.get(ref), (kept) => ({ notes: kept.length, bytes: JSON.stringify(kept).length }))
  }))
)

/**
 * How much a recipe may say: so much at once, and so much a minute. A guest, or an extension, that says more is told of
 * in one event from time to time, which counts what was left out.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identityOf, leftOut, type NewEvent } from "../../domain/events/Event.js"
import { monotonicSeconds } from "../../domain/Monotonic.js"
import type { PhaseName } from "../../domain/Phase.js"
import { Timing, type TimingShape } from "../../settings/Timing.js"
import { type Commit, type Lease, SandboxStore, type StoreError } from "../../store/SandboxStore.js"

/** What was left out, and the last of it. */
interface LeftOut {
  readonly type: "note" | "warning"
  readonly count: number
  readonly message: string
}

interface Budget {
  /** Whether an event may be said now; where not, it is left out. `now` is in seconds. */
  readonly spend: (now: number, type: LeftOut["type"], message: string) => boolean
  /** What was left out and is to be told of by now; with `all`, however short ago that was done. */
  readonly leftOut: (now: number, all?: boolean) => LeftOut | undefined
  /** It was told of. */
  readonly told: (now: number, told: LeftOut) => void
}

const makeBudget = (
  begunAt: number,
  { eventBurst: mostAtOnce, eventsPerMinute: mostAMinute, leftOutInterval }: TimingShape["reporting"]
): Budget => {
  const tellLeftOutEvery = Duration.toSeconds(leftOutInterval)
  let tokens = mostAtOnce
  let filledAt = begunAt
  let toldAt = begunAt - tellLeftOutEvery
  let warnings = false
  let count = 0
  let last = ""
  return {
    spend: (now, type, message) => {
      tokens = Math.min(mostAtOnce, tokens + ((now - filledAt) * mostAMinute) / 60)
      filledAt = now
      if (tokens >= 1) {
        tokens--
        return true
      }
      count++
      last = message
      warnings ||= type === "warning"
      return false
    },
    leftOut: (now, all = false) =>
      count === 0 || (!all && now - toldAt < tellLeftOutEvery)
        ? undefined
        : {
            type: warnings ? "warning" : "note",
            count,
            message: `${count} more ${count === 1 ? "was" : "were"} left out, as ${mostAMinute} a minute are kept; the last: ${last}`
          },
    told: (now, told) => {
      toldAt = now
      // More may have come meanwhile.
      count -= told.count
      warnings = warnings && count > 0
    }
  }
}

export interface Sayer {
  /** Says something where it was not said before, and there is not too much of it. */
  readonly say: (event: NewEvent) => Effect.Effect<void, StoreError>
  /** Says something whatever was said, with what is written beside it. */
  readonly sayAnyway: (event: NewEvent, beside: Omit<Commit, "events">) => Effect.Effect<void, StoreError>
  /** Tells of what was left out, once in a while; with `all`, now. */
  readonly tellLeftOut: (options: {
    readonly all: boolean
    readonly phase: PhaseName | null
  }) => Effect.Effect<void, StoreError>
}

/** Says what a recipe says, under its lease; what an earlier term said is known. */
export const makeSayer = (lease: Lease, attempt: number): Effect.Effect<Sayer, StoreError, SandboxStore> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const budget = makeBudget(yield* monotonicSeconds, (yield* Timing).reporting)
    const known = new Set(yield* store.identities(lease.id))
    const sayAnyway: Sayer["sayAnyway"] = (event, beside) =>
      Effect.zipRight(
        store.commit(lease, { ...beside, events: [event] }),
        Effect.sync(() => void known.add(identityOf(event)))
      )
    return {
      sayAnyway,
      say: (event) =>
        Effect.flatMap(monotonicSeconds, (now) =>
          !known.has(identityOf(event)) &&
          budget.spend(now, event.type === "warning" ? "warning" : "note", event.message)
            ? sayAnyway(event, {})
            : Effect.void
        ),
      tellLeftOut: ({ all, phase }) =>
        Effect.gen(function* () {
          const now = yield* monotonicSeconds
          const some = budget.leftOut(now, all)
          if (some === undefined) return
          yield* sayAnyway(
            leftOut({ ...some, phase, occurrence: { attempt, term: lease.term, at: now } }),
            {}
          )
          budget.told(now, some)
        })
    }
  })

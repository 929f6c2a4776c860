/** The store in memory: for tests, and for programs that keep nothing. It refuses what the one in SQL refuses. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type { HeldLease } from "../../domain/Holder.js"
import type { Plan } from "../../domain/Plan.js"
import { type NewEvent, numbered, type ProgressEvent } from "../../domain/ProgressEvent.js"
import {
  change,
  hasEnded,
  isLiving,
  mayRetry,
  resetForRetry,
  type Sandbox,
  type SandboxChange,
  type SandboxId
} from "../../domain/Sandbox.js"
import {
  type Claimant,
  isNext,
  type Lease,
  type LogPosition,
  nameTaken,
  SandboxStore,
  type SandboxStoreShape,
  type Step,
  StoreError
} from "../SandboxStore.js"
import * as Outbox from "./OutboxMemory.js"

interface Kept {
  readonly sandbox: Sandbox
  readonly plan: Plan
  readonly cancelRequested: boolean
  readonly lease?: HeldLease
  readonly steps: ReadonlyArray<Step>
  readonly log?: LogPosition
}

interface Written {
  readonly identity: string
  readonly event: ProgressEvent
}

/** Never changed, but replaced as a whole: a transaction that fails leaves the one that was. */
interface State {
  readonly sandboxes: ReadonlyMap<SandboxId, Kept>
  readonly events: ReadonlyArray<Written>
  readonly claims: ReadonlyArray<{
    readonly id: SandboxId
    readonly resource: string
    readonly holds: boolean
  }>
  readonly outbox: Outbox.Outbox
}

type Change<E = never> = Either.Either<State, E | StoreError>

const isStep =
  ({ attempt, key }: Step) =>
  (other: Step) =>
    other.attempt === attempt && other.key === key

const find = (state: State, id: SandboxId): Either.Either<Kept, StoreError> =>
  Either.fromNullable(
    state.sandboxes.get(id),
    () =>
      new StoreError({ reason: "other", message: `no sandbox ${id}`, hint: "it has to be created before" })
  )

const fenced = (state: State, { id, term }: Lease) => {
  const kept = state.sandboxes.get(id)
  return kept?.lease?.term === term
    ? Either.right({ kept, lease: kept.lease })
    : Either.left(
        new StoreError({
          reason: "lease-lost",
          message: `another supervisor took ${id} over`,
          hint: `follow it with \`sandboxer watch ${id}\``
        })
      )
}

const withKept = (state: State, kept: Kept): State => ({
  ...state,
  sandboxes: new Map(state.sandboxes).set(kept.sandbox.id, kept)
})

const holdsName = (state: State, { id, name }: Sandbox): Sandbox | undefined =>
  [...state.sandboxes.values()]
    .map(({ sandbox }) => sandbox)
    .find((other) => other.name === name && other.id !== id && isLiving(other.state))

const update = (state: State, id: SandboxId, fields: SandboxChange): Change =>
  Either.gen(function* () {
    const kept = yield* find(state, id)
    const sandbox = change(kept.sandbox, fields)
    if (isLiving(sandbox.state) && holdsName(state, sandbox) !== undefined) {
      return yield* Either.left(
        new StoreError({
          reason: "other",
          message: `the name ${sandbox.name} is taken`,
          hint: "take another one"
        })
      )
    }
    const updated = withKept(state, { ...kept, sandbox })
    return hasEnded(sandbox.state)
      ? { ...updated, claims: state.claims.filter((claim) => claim.id !== id) }
      : updated
  })

const line = ({ claims, events, sandboxes }: State, resource: string): ReadonlyArray<Claimant> => {
  const requested = (id: SandboxId) =>
    events.findLastIndex(({ event: { sandboxId, type } }) => sandboxId === id && type === "requested")
  return claims
    .filter((claim) => claim.resource === resource)
    .toSorted((a, b) => Number(b.holds) - Number(a.holds) || requested(a.id) - requested(b.id))
    .map(({ holds, id }) => ({ id, name: sandboxes.get(id)?.sandbox.name ?? "", holds }))
}

const append = (state: State, id: SandboxId, event: NewEvent, now: DateTime.Utc): State => {
  const before = state.events.filter(({ event: { sandboxId } }) => sandboxId === id)
  if (before.some(({ identity }) => identity === event.identity)) return state
  const seq = before.length + 1
  const made = numbered(id, seq, event, now)
  const kept = state.sandboxes.get(id)
  const earlier = before.map(({ event: one }) => one)
  return {
    ...state,
    events: [...state.events, { identity: event.identity, event: made }],
    outbox:
      kept === undefined ? state.outbox : Outbox.write(state.outbox, made, kept.plan, kept.sandbox, earlier)
  }
}

/**
 * A store of its own.
 * @category constructors
 */
export const make: Effect.Effect<SandboxStoreShape> = Effect.sync(() => {
  let state: State = { sandboxes: new Map(), events: [], claims: [], outbox: Outbox.empty }
  const read = <A>(look: (now: State) => A): Effect.Effect<A> => Effect.sync(() => look(state))
  // Nothing else runs within one, as it waits for nothing.
  const transaction = <A, E>(
    run: (now: DateTime.Utc) => Either.Either<readonly [A, State], E>
  ): Effect.Effect<A, E> =>
    Effect.flatMap(DateTime.now, (now) =>
      Either.map(run(now), ([value, next]) => {
        state = next
        return value
      })
    )

  return {
    create: (sandbox, plan, ...events) =>
      transaction((now) =>
        Either.gen(function* () {
          const other = holdsName(state, sandbox)
          if (other !== undefined) {
            return yield* Either.left(nameTaken(sandbox.name, other.id))
          }
          if (state.sandboxes.has(sandbox.id)) {
            return yield* Either.left(
              new StoreError({
                reason: "other",
                message: `there is a sandbox ${sandbox.id} already`,
                hint: "ids are used once"
              })
            )
          }
          const kept: Kept = { sandbox, plan, cancelRequested: false, steps: [] }
          const recorded = withKept(state, kept)
          return [
            undefined,
            events.reduce((before, event) => append(before, sandbox.id, event, now), recorded)
          ] as const
        })
      ),
    get: (id) => read(({ sandboxes }) => sandboxes.get(id)?.sandbox),
    plan: (id) => read(({ sandboxes }) => sandboxes.get(id)?.plan),
    list: read(({ sandboxes }) =>
      [...sandboxes.values()]
        .map(({ sandbox }) => sandbox)
        .sort((a, b) => DateTime.toEpochMillis(a.createdAt) - DateTime.toEpochMillis(b.createdAt))
    ),
    takenNames: read(
      ({ sandboxes }) =>
        new Set(
          [...sandboxes.values()].flatMap(({ sandbox }) => (isLiving(sandbox.state) ? [sandbox.name] : []))
        )
    ),
    events: (id, after) =>
      read(({ events }) =>
        events.flatMap(({ event }) => (event.sandboxId === id && event.seq > after ? [event] : []))
      ),
    identities: (id) =>
      read(
        ({ events }) =>
          new Set(events.flatMap(({ event, identity }) => (event.sandboxId === id ? [identity] : [])))
      ),
    allEvents: (after) =>
      read(({ events }) => ({
        events: events.slice(after).map(({ event }) => event),
        position: Math.max(after, events.length)
      })),
    requestCancel: (id) =>
      transaction((now) =>
        Either.map(find(state, id), (kept) => [
          undefined,
          append(
            withKept(state, { ...kept, cancelRequested: true }),
            id,
            {
              identity: `cancelling/${kept.sandbox.attempt}`,
              type: "cancelling",
              message: "asked to cancel",
              phase: kept.sandbox.phase?.name ?? null
            },
            now
          )
        ])
      ),
    cancelRequested: (id) => read(({ sandboxes }) => sandboxes.get(id)?.cancelRequested ?? false),
    lease: (id) => read(({ sandboxes }) => sandboxes.get(id)?.lease),
    takeLease: (id, holder, seen) =>
      transaction(() =>
        Either.map(find(state, id), (kept) => {
          if (kept.lease?.term !== seen) return [undefined, state]
          const term = (seen ?? 0) + 1
          return [{ id, term }, withKept(state, { ...kept, lease: { term, holder, beat: 0 } })]
        })
      ),
    releaseLease: ({ id, term }) =>
      Effect.sync(() => {
        const kept = state.sandboxes.get(id)
        if (kept?.lease?.term !== term) return
        state = withKept(state, { ...kept, lease: { ...kept.lease, holder: null } })
      }),
    commit: ({ id, term }, { beat, change: fields, events = [], log, release, step }) =>
      transaction((now) =>
        Either.gen(function* () {
          const { kept, lease } = yield* fenced(state, { id, term })
          const known = step === undefined ? -1 : kept.steps.findIndex(isStep(step))
          const written = withKept(state, {
            ...kept,
            lease: {
              ...lease,
              beat: beat === true ? lease.beat + 1 : lease.beat,
              holder: release === true ? null : lease.holder
            },
            ...(log === undefined ? {} : { log }),
            ...(step === undefined
              ? {}
              : { steps: known === -1 ? [...kept.steps, step] : kept.steps.with(known, step) })
          })
          const changed = fields === undefined ? written : yield* update(written, id, fields)
          return [undefined, events.reduce((next, event) => append(next, id, event, now), changed)] as const
        })
      ),
    transition: (id, from, fields, event, when = () => true) =>
      transaction((now) => {
        const kept = state.sandboxes.get(id)
        return kept === undefined || !from.includes(kept.sandbox.state) || !when(kept.sandbox)
          ? Either.right([false, state])
          : Either.map(update(state, id, fields), (changed) => [true, append(changed, id, event, now)])
      }),
    beginAttempt: (id, attempt, event) =>
      transaction((now) =>
        Either.gen(function* () {
          const kept = state.sandboxes.get(id)
          if (kept === undefined || !mayRetry(kept.sandbox, attempt)) return [false, state] as const
          const other = holdsName(state, kept.sandbox)
          if (other !== undefined) return yield* Either.left(nameTaken(kept.sandbox.name, other.id))
          const cleared = withKept(state, { ...kept, cancelRequested: false })
          return [true, append(yield* update(cleared, id, resetForRetry(attempt)), id, event, now)] as const
        })
      ),
    forget: (id, when) =>
      Effect.sync(() => {
        const kept = state.sandboxes.get(id)
        if (kept === undefined || !when(kept.sandbox, Outbox.untold(state.outbox).has(id))) return false
        const sandboxes = new Map(state.sandboxes)
        sandboxes.delete(id)
        state = {
          ...state,
          sandboxes,
          events: state.events.filter(({ event }) => event.sandboxId !== id),
          claims: state.claims.filter((claim) => claim.id !== id),
          outbox: Outbox.without(state.outbox, id)
        }
        return true
      }),
    claim: ({ id, term }, resource, capacity) =>
      transaction(() =>
        Either.map(fenced(state, { id, term }), () => {
          const isOurs = (claim: State["claims"][number]) => claim.id === id && claim.resource === resource
          const claims = state.claims.some(isOurs)
            ? state.claims
            : [...state.claims, { id, resource, holds: false }]
          const next = isNext(id, capacity, line({ ...state, claims }, resource))
          return [
            undefined,
            {
              ...state,
              claims: claims.map((claim) => (next && isOurs(claim) ? { ...claim, holds: true } : claim))
            }
          ] as const
        })
      ),
    claimants: (resource) => read((now) => line(now, resource)),
    steps: (id, attempt) =>
      read(({ sandboxes }) => sandboxes.get(id)?.steps.filter((step) => step.attempt === attempt) ?? []),
    log: (id) => read(({ sandboxes }) => sandboxes.get(id)?.log),
    outbox: Outbox.make((change) =>
      Effect.map(DateTime.now, (now) => {
        const [value, outbox] = change(state.outbox, DateTime.toEpochMillis(now))
        state = { ...state, outbox }
        return value
      })
    )
  }
})

/** @category layers */
export const layer: Layer.Layer<SandboxStore> = Layer.effect(SandboxStore, make)

/** A store that is opened when it is first used: who only plans leaves nothing behind. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SandboxStore, type SandboxStoreShape, type StoreError } from "../SandboxStore.js"

/**
 * `store` is built once, at its first use; where that fails, so does every use.
 * @category layers
 */
export const layer = <R>(
  store: Layer.Layer<SandboxStore, StoreError, R>
): Layer.Layer<SandboxStore, never, R> =>
  Layer.scoped(
    SandboxStore,
    Effect.gen(function* () {
      const services = yield* Effect.context<R>()
      const scope = yield* Effect.scope
      let known: SandboxStoreShape | undefined
      const opened = yield* Effect.cached(
        Layer.buildWithScope(store, scope).pipe(
          Effect.map(Context.get(SandboxStore)),
          Effect.tap((made) => {
            known = made
          }),
          Effect.provide(services)
        )
      )
      // What is cached takes twenty steps of a fiber to get at, and a command does that a hundred times.
      const use = <A, E>(run: (store: SandboxStoreShape) => Effect.Effect<A, E>) =>
        Effect.suspend(() => (known === undefined ? Effect.flatMap(opened, run) : run(known)))
      return {
        create: (sandbox, plan, ...events) => use((open) => open.create(sandbox, plan, ...events)),
        get: (id) => use((open) => open.get(id)),
        plan: (id) => use((open) => open.plan(id)),
        list: use((open) => open.list),
        takenNames: use((open) => open.takenNames),
        events: (id, after) => use((open) => open.events(id, after)),
        identities: (id) => use((open) => open.identities(id)),
        allEvents: (after) => use((open) => open.allEvents(after)),
        requestCancel: (id) => use((open) => open.requestCancel(id)),
        cancelRequested: (id) => use((open) => open.cancelRequested(id)),
        lease: (id) => use((open) => open.lease(id)),
        takeLease: (id, holder, seen) => use((open) => open.takeLease(id, holder, seen)),
        releaseLease: (lease) => use((open) => open.releaseLease(lease)),
        commit: (lease, commit) => use((open) => open.commit(lease, commit)),
        transition: (id, from, change, event, when) =>
          use((open) => open.transition(id, from, change, event, when)),
        beginAttempt: (id, attempt, event) => use((open) => open.beginAttempt(id, attempt, event)),
        forget: (id, when) => use((open) => open.forget(id, when)),
        claim: (lease, resource, capacity) => use((open) => open.claim(lease, resource, capacity)),
        claimants: (resource) => use((open) => open.claimants(resource)),
        steps: (id, attempt) => use((open) => open.steps(id, attempt)),
        log: (id) => use((open) => open.log(id)),
        outbox: {
          peek: use(({ outbox }) => outbox.peek),
          status: use(({ outbox }) => outbox.status),
          waiting: (most) => use(({ outbox }) => outbox.waiting(most)),
          unsent: use(({ outbox }) => outbox.unsent),
          refused: use(({ outbox }) => outbox.refused),
          take: (holder, seen) => use(({ outbox }) => outbox.take(holder, seen)),
          settle: (term, settlement) => use(({ outbox }) => outbox.settle(term, settlement)),
          release: (term) => use(({ outbox }) => outbox.release(term)),
          retry: (ids) => use(({ outbox }) => outbox.retry(ids))
        }
      }
    })
  )

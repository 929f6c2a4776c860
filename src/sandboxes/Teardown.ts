/** Removing what a sandbox has on its machine, when the sandbox ends. */
import * as Effect from "effect/Effect"
import { Conflict } from "../domain/Errors.js"
import * as Event from "../domain/events/Event.js"
import { runningStates, type Sandbox, type SandboxId } from "../domain/Sandbox.js"
import { Host, HostError, Hosts } from "../hosts/Host.js"
import { Extensions } from "../recipe/Extension.js"
import { SandboxStore, type StoreError } from "../store/SandboxStore.js"

/** Fails if a provision that has not ended holds a lock that is in this sandbox's plan, such as that of a workspace. */
export const refuseInUse = (id: SandboxId): Effect.Effect<void, StoreError | Conflict, SandboxStore> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const keys = ((yield* store.plan(id))?.locks ?? []).map(({ key }) => key)
    if (keys.length === 0) return
    for (const { id: other, name } of yield* store.list({ states: runningStates })) {
      if (other === id) continue
      const lock = (yield* store.plan(other))?.locks.find(({ key }) => keys.includes(key))
      if (lock === undefined) continue
      return yield* new Conflict({
        reason: "running",
        message: `${name}, which is being provisioned, uses ${lock.what}`,
        hint: `wait for it: \`sandboxer wait ${name}\``
      })
    }
  })

/**
 * Removes it, and returns a warning about what is left: on a machine that could not be reached, which is no error with
 * `force`; or if there is no workspace to delete.
 */
export const tearDown = (
  { extension, id, mode, name, state }: Sandbox,
  { deleteWorkspace, force }: { readonly deleteWorkspace: boolean; readonly force: boolean }
): Effect.Effect<string | undefined, StoreError | Conflict | HostError, Extensions | Hosts | SandboxStore> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const extensions = yield* Extensions
    const hosts = yield* Hosts
    const plan = yield* store.plan(id)
    if (state === "destroyed" || plan === undefined) return undefined
    // This program may not have the extension; then there is nothing to remove.
    const made = yield* Effect.orElseSucceed(extensions.get(extension), () => undefined)
    const teardown = yield* made?.modes[mode]?.teardown?.(plan.spec, { id, deleteWorkspace }) ??
      Effect.succeed(undefined)
    if (teardown === undefined) {
      return deleteWorkspace ? "it has no workspace that is sandboxer's to delete" : undefined
    }
    if (deleteWorkspace) yield* refuseInUse(id)
    yield* store.transition(
      id,
      ["ready", "failed", "cancelled"],
      { state: "destroying" },
      Event.destroying(teardown.what)
    )
    return yield* Effect.flatMap(hosts.get(plan.placement), (host) =>
      Effect.provideService(teardown.remove, Host, host)
    ).pipe(
      Effect.as(undefined),
      Effect.catchAll((error) =>
        force
          ? Effect.succeed(`${teardown.what} may be left on ${plan.placement.host}: ${error.message}`)
          : new HostError({
              ...error,
              message: `${name} cannot be destroyed: ${error.message}`,
              hint: `${error.hint}; or forget ${teardown.what}: \`sandboxer destroy --force ${name}\``
            })
      )
    )
  })

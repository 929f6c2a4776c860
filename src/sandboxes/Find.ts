/** Finding the record of a sandbox. */
import * as Effect from "effect/Effect"
import { NotFound, UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import { isLiving, type Sandbox, type SandboxId } from "../domain/Sandbox.js"
import { SandboxStore, type StoreError } from "../store/SandboxStore.js"

const showAll = "`sandboxer list --all` shows all"

/** The sandbox with this id. */
export const get = (id: SandboxId): Effect.Effect<Sandbox, StoreError | NotFound, SandboxStore> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const sandbox = yield* store.get(id)
    if (sandbox !== undefined) return sandbox
    return yield* new NotFound({ reason: "sandbox", message: `no sandbox ${id}`, hint: showAll })
  })

/** See `SandboxesShape.find`. */
export const find = (
  reference: string
): Effect.Effect<Sandbox, StoreError | NotFound | UsageError, SandboxStore> =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const all = (yield* store.list).toReversed()
    const [byName] = [...all.filter(({ state }) => isLiving(state)), ...all].filter(
      ({ name }) => name === reference
    )
    const exact = all.find(({ id }) => id === reference)
    const byPrefix = reference === "" ? [] : all.filter(({ id }) => id.startsWith(reference))
    if (exact === undefined && byName === undefined && byPrefix.length > 1) {
      return yield* new UsageError({
        reason: "usage",
        message: `${reference} is the beginning of ${byPrefix.length} ids`,
        hint: `give more of it: ${byPrefix.map(({ id }) => id).join(", ")}`
      })
    }
    const found = exact ?? byName ?? byPrefix[0]
    if (found !== undefined) return found
    return yield* new NotFound({
      reason: "sandbox",
      message: `no sandbox ${reference}`,
      hint: didYouMean(reference, new Set(all.map(({ name }) => name)), showAll)
    })
  })

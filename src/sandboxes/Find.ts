/** Finding the record of a sandbox. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { NotFound, UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import { type Sandbox, SandboxId } from "../domain/Sandbox.js"
import { SandboxStore, type StoreError } from "../store/SandboxStore.js"

const isId = Schema.is(SandboxId)

/** The number of newest sandboxes among which the nearest name is searched. */
const suggested = 1000

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
    const exact = isId(reference) ? yield* store.get(reference) : undefined
    const found = exact ?? (yield* store.named(reference))
    if (found !== undefined) return found
    const ids = reference === "" ? [] : yield* store.idsWith(reference)
    if (ids.length > 1) {
      return yield* new UsageError({
        reason: "usage",
        message: `${reference} is the beginning of ${ids.length} ids`,
        hint: `give more of it: ${ids.join(", ")}`
      })
    }
    if (ids[0] !== undefined) return yield* get(ids[0])
    return yield* new NotFound({
      reason: "sandbox",
      message: `no sandbox ${reference}`,
      hint: didYouMean(reference, yield* store.names(suggested), showAll)
    })
  })

import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { Conflict } from "../domain/Errors.js"
import * as Event from "../domain/events/Event.js"
import { expiry, hasEnded, type SandboxId } from "../domain/Sandbox.js"
import { Settings } from "../settings/Settings.js"
import { SandboxStore } from "../store/SandboxStore.js"
import { cancel } from "./Cancel.js"
import { get } from "./Find.js"
import { wait } from "./Follow.js"
import { removeArtifact } from "./RemoveArtifact.js"
import { tearDown } from "./Teardown.js"

/** Options of `destroy`. */
export interface DestroyOptions {
  /** Cancels a provision that has not ended, and forgets what is left on a machine that cannot be reached. */
  readonly force: boolean
  readonly deleteArtifacts: boolean
  readonly deleteWorkspace?: boolean
}

/** See `SandboxesShape.destroy`. */
export const destroy = Effect.fn("Sandboxes.destroy")(function* (
  id: SandboxId,
  { deleteArtifacts, deleteWorkspace = false, force }: DestroyOptions
) {
  const store = yield* SandboxStore
  const { retentionSeconds } = yield* Settings
  const before = yield* get(id)
  if (!hasEnded(before.state)) {
    if (!force) {
      return yield* new Conflict({
        reason: "running",
        message: `${before.name} is being provisioned`,
        hint: `\`sandboxer cancel ${before.name}\` first, or destroy it with --force`
      })
    }
    // A Conflict: it has just ended by itself.
    yield* Effect.catchTag(cancel(id), "Conflict", () => Effect.void)
  }
  const ended = yield* wait(id)
  const left = yield* tearDown(ended, { deleteWorkspace, force })
  const now = yield* DateTime.now
  yield* store.transition(
    id,
    ["ready", "failed", "cancelled", "destroying"],
    { state: "destroyed", expiresAt: expiry(now, retentionSeconds) },
    Event.destroyed(left)
  )
  if (deleteArtifacts && ended.artifacts.length > 0) {
    yield* Effect.forEach(ended.artifacts, (artifact) => removeArtifact(id, artifact), { discard: true })
    yield* store.transition(id, ["destroyed"], { artifacts: [] }, Event.artifactsDeleted)
  }
  return yield* get(id)
})

/** Removing what has expired. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Event from "../domain/events/Event.js"
import { hasEnded, type Sandbox, type SandboxId } from "../domain/Sandbox.js"
import { StateHub } from "../hub/client/StateHub.js"
import { Settings } from "../settings/Settings.js"
import { SandboxStore, StoreError } from "../store/SandboxStore.js"
import { destroy } from "./Destroy.js"

/** An expired sandbox, and what `reap` does with it; `problem` says why that failed, or is null. */
export interface Reaped {
  readonly sandbox: Sandbox
  /**
   * `destroy` ends a sandbox that was ready, and keeps its artifacts; `forget` removes the record and the logs of one that
   * had ended.
   */
  readonly action: "destroy" | "forget"
  readonly problem: string | null
}

/**
 * Removes a sandbox's logs and retained failure artifacts. Its record is removed before: `doctor --fix` finds what a crash
 * leaves in between.
 */
const removeLeftovers = (id: SandboxId) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { home } = yield* Settings
    const ownIn = (folder: string) =>
      Effect.map(
        Effect.orElseSucceed(fs.readDirectory(folder), () => []),
        (names) =>
          names
            .filter((name) => name === id || name.startsWith(`${id}.`))
            .map((name) => path.join(folder, name))
      )
    yield* Effect.forEach(
      [...(yield* ownIn(path.join(home, "logs"))), ...(yield* ownIn(path.join(home, "kept")))],
      (file) => fs.remove(file, { recursive: true, force: true }),
      { discard: true }
    )
  }).pipe(
    Effect.mapError(
      ({ message }) => new StoreError({ reason: "not-writable", message, hint: "remove it by hand" })
    )
  )

/** Whether any of its artifacts still exists: the record is how a user finds it. */
const hasArtifacts = ({ artifacts }: Sandbox) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.exists(artifacts, ({ path }) => Effect.orElseSucceed(fs.exists(path), () => true))
  )

/**
 * Whether a record that has expired is kept while notes about it wait for the State Hub: for as long again as records are
 * kept, and only if there is a hub.
 */
const holds = ({ expiresAt }: Sandbox, now: DateTime.Utc) =>
  Effect.gen(function* () {
    const { retentionSeconds } = yield* Settings
    const { tells } = yield* StateHub
    const until = expiresAt === null ? now : DateTime.add(expiresAt, { seconds: retentionSeconds })
    return tells !== false && DateTime.greaterThan(until, now)
  })

/** See `SandboxesShape.reap`. */
export const reap = ({ dryRun }: { readonly dryRun: boolean }) =>
  Effect.gen(function* () {
    const store = yield* SandboxStore
    const now = yield* DateTime.now
    // Checked again in the transaction: it may have been renewed or used meanwhile.
    const isOver = ({ expiresAt }: Sandbox) =>
      expiresAt !== null && DateTime.lessThanOrEqualTo(expiresAt, now)

    const expire = (sandbox: Sandbox) =>
      Effect.gen(function* () {
        const { id, state } = sandbox
        const ours =
          state === "destroying" ||
          (yield* store.transition(id, ["ready"], { state: "destroying" }, Event.expired, isOver))
        if (ours) yield* destroy(id, { force: false, deleteArtifacts: false })
        return ours
      })
    const forget = ({ id, state }: Sandbox, held: boolean) =>
      Effect.gen(function* () {
        const forgotten = yield* store.forget(
          id,
          (one, waits) => one.state === state && isOver(one) && !(waits && held)
        )
        if (forgotten) yield* removeLeftovers(id)
        return forgotten
      })

    const reaped: Array<Reaped> = []
    for (const sandbox of yield* store.list({ due: now })) {
      const { state } = sandbox
      // `destroying`: an earlier `destroy` was killed, or could not reach the machine.
      if (!hasEnded(state) || !(state === "destroying" || isOver(sandbox))) continue
      const action = state === "ready" || state === "destroying" ? "destroy" : "forget"
      const held = yield* holds(sandbox, now)
      const stays = (held && (yield* store.outbox.isUnsent(sandbox.id))) || (yield* hasArtifacts(sandbox))
      if (action === "forget" && stays) continue
      if (dryRun) {
        reaped.push({ sandbox, action, problem: null })
        continue
      }
      const done = yield* Effect.either(action === "destroy" ? expire(sandbox) : forget(sandbox, held))
      // Right(false): it was renewed meanwhile, or new notes about it wait.
      if (Either.isLeft(done)) reaped.push({ sandbox, action, problem: done.left.message })
      else if (done.right) reaped.push({ sandbox, action, problem: null })
    }
    return reaped
  })

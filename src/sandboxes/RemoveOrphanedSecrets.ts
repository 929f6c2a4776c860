import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { Settings } from "../settings/Settings.js"
import { SandboxStore } from "../store/SandboxStore.js"
import { knownOf, secrets } from "./Leftovers.js"

/** Secrets of a provision that was never recorded. */
export interface OrphanedSecrets {
  /** The folder that they are in. */
  readonly folder: string
  /** Why they could not be removed; null if they were. */
  readonly problem: string | null
}

/** See `SandboxesShape.removeOrphanedSecrets`. */
export const removeOrphanedSecrets = ({ dryRun }: { readonly dryRun: boolean }) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const store = yield* SandboxStore
    const { home } = yield* Settings
    const found = yield* secrets(path.join(home, "jobs"), Effect.map(store.list(), knownOf))
    return yield* Effect.forEach(found, ({ mend, what: folder }) =>
      Effect.match(dryRun ? Effect.void : mend, {
        onSuccess: (): OrphanedSecrets => ({ folder, problem: null }),
        onFailure: ({ message }): OrphanedSecrets => ({ folder, problem: message })
      })
    )
  })

/** Files of this machine that differ from the records, or whose sandbox has ended. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { hasEnded, type Sandbox } from "../domain/Sandbox.js"
import type { HostError, Hosts } from "../hosts/Host.js"
import type { Supervisors } from "../provisioning/Supervisors.js"
import type { Settings } from "../settings/Settings.js"
import { Timing } from "../settings/Timing.js"
import type { ProcessIdentity } from "../store/ProcessIdentity.js"
import { type SandboxStore, StoreError } from "../store/SandboxStore.js"

/**
 * A difference between the records and the machines.
 *
 * - `unsupervised`: a provision that has no supervisor
 * - `lease`: a lease that a dead supervisor holds on a provision that has ended
 * - `process`: a process that runs for a sandbox that has ended or is not recorded
 * - `job-folder`: the folder with the Jobs of such a sandbox
 * - `secrets`: values that were stored for such a sandbox
 * - `staging`: unfinished copies of such a sandbox's artifacts
 * - `log`, `kept`: the log, or the retained failure artifacts, of a sandbox that is not recorded
 * - `artifact-missing`: an artifact that is recorded but does not exist
 * - `artifact-unknown`: a file among the artifacts that is not recorded
 * - `host`: a host that cannot be examined
 *
 * @category model
 */
export type MismatchKind =
  | "unsupervised"
  | "lease"
  | "process"
  | "job-folder"
  | "secrets"
  | "staging"
  | "log"
  | "kept"
  | "artifact-missing"
  | "artifact-unknown"
  | "host"

/** A mismatch, and its repair: `action` is null where a person must decide. */
export interface Mismatch {
  readonly kind: MismatchKind
  /** An id or a path. */
  readonly what: string
  readonly action: string | null
  readonly mend: Effect.Effect<void, StoreError | HostError, ReconcileServices>
}

export type ReconcileServices =
  | FileSystem.FileSystem
  | ProcessIdentity
  | Hosts
  | Path.Path
  | SandboxStore
  | Settings
  | Supervisors

/** Whether the sandbox with an id is living, has ended, or is not recorded. What belongs to a living one is not touched. */
export type Liveness = "living" | "ended" | "unknown"

export interface Known {
  readonly sandboxes: ReadonlyArray<Sandbox>
  readonly liveness: (id: string) => Liveness
}

export const knownOf = (sandboxes: ReadonlyArray<Sandbox>): Known => {
  const byId = new Map<string, Sandbox>(sandboxes.map((sandbox) => [sandbox.id, sandbox]))
  return {
    sandboxes,
    liveness: (id) => {
      const sandbox = byId.get(id)
      return sandbox === undefined ? "unknown" : hasEnded(sandbox.state) ? "ended" : "living"
    }
  }
}

export const isId = (name: string): boolean => /^[0-9a-f]{12}$/.test(name)

/** The names in a folder of this machine; none if it does not exist. */
const namesIn = (folder: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.orElseSucceed(fs.readDirectory(folder), (): ReadonlyArray<string> => [])
  )

const remove = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapError(
      fs.remove(file, { recursive: true, force: true }),
      ({ message }) => new StoreError({ reason: "not-writable", message, hint: `remove ${file} by hand` })
    )
  )

const removing = (kind: MismatchKind, file: string) =>
  ({ kind, what: file, action: "remove it", mend: remove(file) }) satisfies Mismatch

/** A mismatch about which a person must decide. */
export const telling = (kind: MismatchKind, what: string): Mismatch => ({
  kind,
  what,
  action: null,
  mend: Effect.void
})

/** Files of a folder whose sandbox is not recorded; `idOf` matches their names, with the id as its first group. */
export const unknown = (kind: MismatchKind, folder: string, idOf: RegExp, { liveness: standing }: Known) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const names = yield* namesIn(folder)
    return names
      .filter((name) => standing(idOf.exec(name)?.[1] ?? "") === "unknown" && idOf.test(name))
      .map((name) => removing(kind, path.join(folder, name)))
  })

/** Whether one of these files is so new that its sandbox may still be recorded. */
export const isYoung = (...files: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const grace = Duration.toMillis((yield* Timing).sandboxes.secretsGrace)
    const now = yield* Clock.currentTimeMillis
    return yield* Effect.exists(files, (file) =>
      Effect.map(Effect.option(fs.stat(file)), (info) => {
        const modified = Option.getOrUndefined(Option.flatMap(info, ({ mtime }) => mtime))
        return modified !== undefined && now - modified.getTime() < grace
      })
    )
  })

/** The names of the secrets in a folder (none if it is empty); undefined if it has anything else. */
export const secretsAlone = (folder: string) =>
  Effect.map(namesIn(folder), (names) =>
    names.every((name) => /^secrets(\.\d+)?\.json$/.test(name)) ? names : undefined
  )

/** Whether a folder has only secrets, none of them new: nothing else will follow. */
const isAbandoned = (folder: string) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const names = yield* secretsAlone(folder)
    return names !== undefined && !(yield* isYoung(folder, ...names.map((name) => path.join(folder, name))))
  })

/**
 * Secrets on this machine whose provision was never recorded, because the command was killed before that. The records are
 * read after the folders, so that a sandbox that was recorded meanwhile is known, and only if there are such folders.
 */
export const secrets = <E, R>(jobs: string, records: Effect.Effect<Known, E, R>) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const folders = (yield* namesIn(jobs))
      .filter(isId)
      .toSorted()
      .map((name) => path.join(jobs, name))
    const abandoned = yield* Effect.filter(folders, isAbandoned)
    if (abandoned.length === 0) return []
    const { liveness: standing } = yield* records
    return abandoned
      .filter((folder) => standing(path.basename(folder)) !== "living")
      .map((folder) => {
        const { mend, ...found } = removing("secrets", folder)
        // Check again: `retry` may have stored new secrets there meanwhile.
        return { ...found, mend: Effect.asVoid(Effect.whenEffect(mend, isAbandoned(folder))) }
      })
  })

/** Artifacts that are recorded but missing, files that are not recorded, and unfinished copies. */
export const artifacts = Effect.fn(function* (home: string, { sandboxes, liveness: standing }: Known) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const recorded = sandboxes.flatMap((sandbox) => sandbox.artifacts)
  const isThere = (file: string) => Effect.orElseSucceed(fs.exists(file), () => true)
  const missing = yield* Effect.filter(recorded, (artifact) =>
    Effect.map(isThere(artifact.path), (there) => !there)
  )
  const own: Array<string> = []
  for (const vmName of yield* namesIn(home)) {
    for (const id of yield* namesIn(path.join(home, vmName))) own.push(path.join(home, vmName, id))
  }
  const elsewhere = recorded
    .map((artifact) => path.dirname(artifact.path))
    .filter((one) => !own.includes(one))
  const known = new Set(recorded.flatMap((artifact) => [artifact.path, `${artifact.path}.sha256`]))
  const found = yield* Effect.forEach([...own, ...new Set(elsewhere)], (folder) =>
    Effect.map(namesIn(folder), (names) =>
      names.flatMap((name): ReadonlyArray<Mismatch> => {
        const file = path.join(folder, name)
        const [, id] = /^\.staging-([0-9a-f]{12})\.\d+$/.exec(name) ?? []
        // In a folder of the user's, an unknown id may belong to another state directory.
        if (id !== undefined) {
          const ours = standing(id) === "ended" || (standing(id) === "unknown" && own.includes(folder))
          return ours ? [removing("staging", file)] : []
        }
        const isOther =
          own.includes(folder) && !known.has(file) && standing(path.basename(folder)) !== "living"
        return isOther ? [telling("artifact-unknown", file)] : []
      })
    )
  )
  return [...missing.map((artifact) => telling("artifact-missing", artifact.path)), ...found.flat()]
})

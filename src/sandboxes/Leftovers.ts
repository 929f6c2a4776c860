/** Files of this machine that are not as they are recorded, or that are no sandbox's any more. */
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
 * Something that is not as it is recorded.
 *
 * - `unsupervised`: a provision that nobody carries through
 * - `lease`: of a supervisor that is dead, on a provision that has ended
 * - `process`: runs for a sandbox that has ended, or that nobody knows
 * - `job-folder`: of such a sandbox
 * - `secrets`: put aside for such a sandbox, for a provision that was never recorded
 * - `staging`: files on their way to their place, of such a sandbox
 * - `log`, `kept`: of a sandbox that nobody knows
 * - `artifact-missing`: recorded, and not there
 * - `artifact-unknown`: there, and not recorded
 * - `host`: cannot be looked at
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

/** `action` is what mends it; null where that is for a person to decide. */
export interface Mismatch {
  readonly kind: MismatchKind
  /** What it is about: an id, or a path. */
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

/** What is known of a sandbox by its id: a living one is left alone. */
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

/** Names in a folder of this machine; none where it is not there. */
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

/** For a person to decide. */
export const telling = (kind: MismatchKind, what: string): Mismatch => ({
  kind,
  what,
  action: null,
  mend: Effect.void
})

/** Logs and kept files of sandboxes that nobody knows; `idOf` is what their names look like. */
export const unknown = (kind: MismatchKind, folder: string, idOf: RegExp, { liveness: standing }: Known) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const names = yield* namesIn(folder)
    return names
      .filter((name) => standing(idOf.exec(name)?.[1] ?? "") === "unknown" && idOf.test(name))
      .map((name) => removing(kind, path.join(folder, name)))
  })

/** Whether one of these was changed so lately that a record may yet come. */
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

/** The secrets in a sandbox's folder, where nothing else is in it: none yet, where they are about to be put there. */
export const secretsAlone = (folder: string) =>
  Effect.map(namesIn(folder), (names) =>
    names.every((name) => /^secrets(\.\d+)?\.json$/.test(name)) ? names : undefined
  )

/** Whether it is for good that nothing else is in a sandbox's folder: nobody just put them there. */
const isAbandoned = (folder: string) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const names = yield* secretsAlone(folder)
    return names !== undefined && !(yield* isYoung(folder, ...names.map((name) => path.join(folder, name))))
  })

/**
 * Secrets that were put aside on this machine by who was killed before there was a record of what they were for. Records
 * are read behind the folders, and only where there is something to look up.
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
        // `retry` may have put others there since.
        return { ...found, mend: Effect.asVoid(Effect.whenEffect(mend, isAbandoned(folder))) }
      })
  })

/** Images: those that are recorded and not there, those that are there and not recorded, and halves of some. */
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
        // In a folder of the user's one under an unknown id may be another state directory's.
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

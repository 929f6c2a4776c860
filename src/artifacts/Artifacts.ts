/** Publishes the files of a provision: complete, in their place and recorded, or not at all. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Artifact } from "../domain/Artifact.js"
import type { ProvisionError } from "../domain/Failure.js"
import type { HostPath } from "../domain/HostPath.js"
import type { CollectedFile, Receipt } from "../domain/Receipt.js"
import type { HostError } from "../hosts/Host.js"
import type { Lease, StoreError } from "../store/SandboxStore.js"

/** A file on the host that becomes an artifact called `name`. */
export interface Publication {
  readonly source: HostPath
  readonly name: string
  readonly format: string
  readonly primary: boolean
}

/** A folder on this machine that artifacts are put into; `replace` allows to overwrite existing files. */
export interface Destination {
  readonly folder: string
  readonly replace: boolean
}

/** A folder that collected files are put into: the user's, or with `own` one that belongs to the sandbox. */
export interface ResultsFolder {
  readonly folder: string
  readonly own: boolean
}

/** The attempt that publishes, and the lease under which it records. */
export interface Publisher extends Lease {
  readonly attempt: number
}

/** @category services */
export class Artifacts extends Context.Tag("sandboxer/Artifacts")<
  Artifacts,
  {
    /** The folder of this sandbox's artifacts if the user named none. */
    readonly defaultFolder: (vmName: string) => string
    /** The names in a folder that artifacts may be put into; none if the folder does not exist yet. */
    readonly names: (folder: string) => Effect.Effect<ReadonlyArray<string>, ProvisionError>
    /**
     * Copies the files to this machine, puts each in its place with `<file>.sha256` next to it, and records them. It is
     * idempotent.
     */
    readonly publish: (
      files: ReadonlyArray<Publication>,
      destination: Destination
    ) => Effect.Effect<ReadonlyArray<Artifact>, ProvisionError | HostError | StoreError>
    /**
     * Copies files of a folder on the host to this machine, by their names relative to it. Once all are complete, it puts
     * each in its place and replaces existing files. In a folder of the sandbox they are its artifacts; in a folder of the
     * user they belong to the user.
     */
    readonly collect: (
      from: { readonly folder: HostPath; readonly names: ReadonlyArray<string> },
      into: ResultsFolder
    ) => Effect.Effect<ReadonlyArray<CollectedFile>, ProvisionError | HostError | StoreError>
    /** Writes the receipt into the folder of the results. */
    readonly receipt: (
      receipt: Receipt,
      into: ResultsFolder
    ) => Effect.Effect<void, ProvisionError | StoreError>
    /** Removes what this provision published, after it failed or was cancelled. */
    readonly withdraw: Effect.Effect<void, ProvisionError | StoreError>
  }
>() {}

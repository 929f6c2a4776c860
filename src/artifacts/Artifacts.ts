/** Publishing what a provision made: whole, in its place and recorded, or not at all. */
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

/** Where artifacts go: a folder of this machine; `replace` lets them take the place of files that are there. */
export interface Destination {
  readonly folder: string
  readonly replace: boolean
}

/** Where files go that were collected: a folder of the user's, or with `own` one of the sandbox. */
export interface ResultsFolder {
  readonly folder: string
  readonly own: boolean
}

/** The attempt that publishes: what it records is written under this lease. */
export interface Publisher extends Lease {
  readonly attempt: number
}

/** @category services */
export class Artifacts extends Context.Tag("sandboxer/Artifacts")<
  Artifacts,
  {
    /** The folder of this sandbox's artifacts where the user named none. */
    readonly defaultFolder: (vmName: string) => string
    /** Names of what is in a folder that artifacts may go to; none where it is not there yet. */
    readonly names: (folder: string) => Effect.Effect<ReadonlyArray<string>, ProvisionError>
    /**
     * Brings the files here, puts each in its place with `<file>.sha256` beside it, and records them. Doing it again
     * gives the same artifacts.
     */
    readonly publish: (
      files: ReadonlyArray<Publication>,
      destination: Destination
    ) => Effect.Effect<ReadonlyArray<Artifact>, ProvisionError | HostError | StoreError>
    /**
     * Brings files of a folder on the host here, by their names relative to it, and once all are whole puts each in
     * its place, where it replaces what is there. In a folder of the sandbox's own they are its artifacts; in one of
     * the user's they are the user's.
     */
    readonly collect: (
      from: { readonly folder: HostPath; readonly names: ReadonlyArray<string> },
      into: ResultsFolder
    ) => Effect.Effect<ReadonlyArray<CollectedFile>, ProvisionError | HostError | StoreError>
    /** Puts a receipt where results go. */
    readonly receipt: (
      receipt: Receipt,
      into: ResultsFolder
    ) => Effect.Effect<void, ProvisionError | StoreError>
    /** Takes away again what this provision published: it did not end well. */
    readonly withdraw: Effect.Effect<void, ProvisionError | StoreError>
  }
>() {}

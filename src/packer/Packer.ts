/** HashiCorp Packer on a Host, from version 1.6.6 to the current one. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ProvisionError } from "../domain/Failure.js"
import type { HostPath } from "../domain/HostPath.js"
import type { PhaseName } from "../domain/Phase.js"
import type { HostError } from "../hosts/Host.js"
import type { JobRef } from "../hosts/jobs/Jobs.js"
import type { PackerEvent } from "./wire/BuildEvents.js"
import type { Inspection } from "./wire/Inspect.js"
import type { Version } from "./wire/Version.js"

export type { PackerEvent } from "./wire/BuildEvents.js"
export type { Inspection } from "./wire/Inspect.js"
export { Version } from "./wire/Version.js"

/** A template on the host: a file, or a folder of HCL2 files. `folder` is Packer's working directory. */
export interface Template {
  readonly path: HostPath
  readonly folder: HostPath
}

/** The builds to run, and their variables; later files override earlier ones. */
export interface Selection {
  readonly variableFiles: ReadonlyArray<HostPath>
  readonly only: ReadonlyArray<string>
  readonly except: ReadonlyArray<string>
}

export interface BuildRequest extends Template, Selection {
  /** Whether existing output is replaced. */
  readonly force: boolean
  /** What Packer does when a build fails: end its machine and delete its files, or leave both (the Job then ends the machine). */
  readonly onError: "cleanup" | "abort"
  /** Names of the template's builds: they are the prefixes that tell a guest's output from Packer's own. */
  readonly builds: ReadonlyArray<string>
}

/**
 * One line of a build's output (or a piece of one, see `JobLine`), and the events in it. `end` is the offset of its end in
 * the Job's output; `overall` is the phase of the build that has come least far, once each has one.
 */
export interface BuildRecord {
  readonly end: number
  readonly complete: boolean
  readonly events: ReadonlyArray<PackerEvent>
  readonly overall: PhaseName | undefined
}

export interface PackerShape {
  /** The version on the host. Fails if Packer is missing, or another program has its name. */
  readonly version: Effect.Effect<Version, ProvisionError | HostError>
  /** Installs the plugins that the template asks for; does nothing for a version without `init`. */
  readonly init: (version: Version, template: Template) => Effect.Effect<void, ProvisionError | HostError>
  /** The variables and builds that a template declares. */
  readonly inspect: (template: Template) => Effect.Effect<Inspection, ProvisionError | HostError>
  /** Fails with the reason for which Packer refuses the template. */
  readonly validate: (template: Template & Selection) => Effect.Effect<void, ProvisionError | HostError>
  /**
   * Runs a build as a Job, or follows the one that runs. Ends when Packer has succeeded and all of its processes have
   * ended; otherwise fails with the reason that Packer's output gives.
   */
  readonly build: (
    job: JobRef,
    request: BuildRequest
  ) => Stream.Stream<BuildRecord, ProvisionError | HostError>
  /** The last message of a build's QEMU, which is in Packer's own log alone. */
  readonly qemuMessage: (job: JobRef) => Effect.Effect<string | undefined>
  /** The port that a build waits for, if it waits for one. */
  readonly awaitedPort: (job: JobRef) => Effect.Effect<string | undefined>
}

/** @category services */
export class Packer extends Context.Tag("sandboxer/Packer")<Packer, PackerShape>() {}

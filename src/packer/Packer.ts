/** HashiCorp Packer, from 1.6.6 to today's, on a Host. */
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

/** Which of a template's builds, with which variables; later files win over earlier ones. */
export interface Selection {
  readonly variableFiles: ReadonlyArray<HostPath>
  readonly only: ReadonlyArray<string>
  readonly except: ReadonlyArray<string>
}

export interface BuildRequest extends Template, Selection {
  /** Whether files that are in the way are replaced. */
  readonly force: boolean
  /**
   * What becomes of a build that fails: Packer ends its machine and deletes its files; or it leaves all as it is, and
   * what runs ends with the Job.
   */
  readonly onError: "cleanup" | "abort"
  /** The template's builds, by name: what a guest prints is told from Packer's own words by them. */
  readonly builds: ReadonlyArray<string>
}

/**
 * One line of a build's output (or a piece, see `JobLine`) and what it says; `overall` is the phase of the build
 * that is least far, once there is one.
 */
export interface BuildRecord {
  readonly end: number
  readonly complete: boolean
  readonly events: ReadonlyArray<PackerEvent>
  readonly overall: PhaseName | undefined
}

export interface PackerShape {
  /** The version on the host; fails where there is no Packer, or what is there does not answer as one. */
  readonly version: Effect.Effect<Version, ProvisionError | HostError>
  /** Installs the plugins that the template asks for; does nothing on a version that has no `init`. */
  readonly init: (version: Version, template: Template) => Effect.Effect<void, ProvisionError | HostError>
  /** Which variables and builds a template declares. */
  readonly inspect: (template: Template) => Effect.Effect<Inspection, ProvisionError | HostError>
  readonly validate: (template: Template & Selection) => Effect.Effect<void, ProvisionError | HostError>
  /**
   * Runs a build as a Job, or follows the one that runs. Ends when Packer has ended well and nothing of it runs any
   * more; fails with the reason that Packer's output gives otherwise.
   */
  readonly build: (
    job: JobRef,
    request: BuildRequest
  ) => Stream.Stream<BuildRecord, ProvisionError | HostError>
  /** The last words of a build's QEMU, from Packer's own log; they are printed nowhere. */
  readonly machineSaid: (job: JobRef) => Effect.Effect<string | undefined>
  /** The port that a build waits for, where that is what it does. */
  readonly portWaitedFor: (job: JobRef) => Effect.Effect<string | undefined>
}

/** @category services */
export class Packer extends Context.Tag("sandboxer/Packer")<Packer, PackerShape>() {}

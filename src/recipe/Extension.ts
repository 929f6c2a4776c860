/** The SDK: what an extension is, and what its recipes may use. See `docs/extension-sdk.md`. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Artifact } from "../domain/Artifact.js"
import { NotFound, type UsageError } from "../domain/Errors.js"
import type { HostPath } from "../domain/HostPath.js"
import type { InputDeclarations } from "../domain/Input.js"
import { didYouMean } from "../domain/Nearest.js"
import type { PhaseName } from "../domain/Phase.js"
import type { Placement } from "../domain/Placement.js"
import type { Lock } from "../domain/Plan.js"
import type { Hardware, Prepare } from "../domain/Profile.js"
import type { Endpoint, SandboxId } from "../domain/Sandbox.js"
import type { Host, HostError, Hosts, SyncChange } from "../hosts/Host.js"
import type { Settings } from "../settings/Settings.js"
import type { RecipeError, RecipeServices } from "./Recipe.js"

/** What a mode plans from: a profile's part in it, and the resolved inputs. */
export interface PlanRequest {
  readonly inputs: Readonly<Record<string, unknown>>
  /** Names of the inputs that are secrets; their values reach the recipe by `Provision`. */
  readonly secrets: ReadonlyArray<string>
  /** Names of the inputs that the profile hands to the template as variables. */
  readonly variables: ReadonlyArray<string>
  readonly prepare: Prepare | undefined
  /** What the profile tells of the machine's hardware. */
  readonly hardware?: Hardware | undefined
  /** What the relative paths of `prepare` are relative to: the folder of the profile that names its inputs. */
  readonly profileFolder: string
  readonly requires: { readonly commands: ReadonlyArray<string>; readonly freeDisk: number | undefined }
  /** The host that the profile names, or `local`. */
  readonly host: string
}

/** What planning reads: files, and which hosts there are. */
export type PlanServices = FileSystem.FileSystem | Path.Path | Settings

/** What a provision ends with. */
export interface Provisioned {
  readonly artifacts: ReadonlyArray<Artifact>
  readonly endpoint: typeof Endpoint.Type | null
}

/** What a sandbox left on its machine and takes along when it ends: what that is, for people, and its removal. */
export interface Teardown {
  readonly what: string
  readonly remove: Effect.Effect<void, HostError, Host | Hosts>
}

export interface TeardownRequest {
  readonly id: SandboxId
  /** Whether what would stay for the next sandbox goes, too. */
  readonly deleteWorkspace: boolean
}

/** Brings what a sandbox was made from to its machine once more. */
export type Sync = (
  workspace: HostPath,
  options: { readonly dryRun: boolean }
) => Effect.Effect<ReadonlyArray<SyncChange>, HostError | UsageError, Host>

/**
 * One way of provisioning. `P` is its plan: a value with a schema, kept with the sandbox, so that any supervisor
 * can run the recipe from it.
 * @category model
 */
export interface Mode<P, I = unknown> {
  readonly description: string
  readonly inputs: InputDeclarations
  readonly schema: Schema.Schema<P, I>
  /** Reads and writes nothing but reads: what is wrong with what the user gave is found here. */
  readonly plan: (request: PlanRequest) => Effect.Effect<P, UsageError, PlanServices>
  /** What will be done and why, a line each. */
  readonly describe: (plan: P) => ReadonlyArray<string>
  /** The name that a sandbox has by default. */
  readonly defaultName: (plan: P) => string | undefined
  /** Where it runs; the profile's host where it is left out. */
  readonly placement?: (plan: P) => Placement
  /** Whether the recipe starts no Job, and is done in a moment; false where it is left out. */
  readonly jobless?: (plan: P) => boolean
  /** What one provision at a time may use, the `vm_name` first; nothing where it is left out. */
  readonly locks?: (plan: P) => ReadonlyArray<Lock>
  /** The phases that it goes through, in their order, as far as its plan tells; not told where it is left out. */
  readonly phases?: (plan: P) => ReadonlyArray<PhaseName>
  /** The recipe: run from the top by each supervisor that takes the provision over. */
  readonly provision: (plan: P) => Effect.Effect<Provisioned, RecipeError, RecipeServices>
  /** What goes when the sandbox ends; nothing where it is left out, or gives nothing. Removing it again does no harm. */
  readonly teardown?: (plan: P, request: TeardownRequest) => Teardown | undefined
  /** How a sandbox that is ready is brought up to date; it cannot be where it is left out, or gives nothing. */
  readonly sync?: (plan: P) => Sync | undefined
}

/** A mode whose plan is opaque: what the manager handles. */
export interface AnyMode {
  readonly description: string
  readonly inputs: InputDeclarations
  readonly plan: (request: PlanRequest) => Effect.Effect<PlannedMode, UsageError, PlanServices>
  readonly provision: (encoded: unknown) => Effect.Effect<Provisioned, RecipeError, RecipeServices>
  readonly teardown?: (encoded: unknown, request: TeardownRequest) => Effect.Effect<Teardown | undefined>
  readonly sync?: (encoded: unknown) => Effect.Effect<Sync | undefined>
}

export interface PlannedMode {
  readonly encoded: unknown
  readonly description: ReadonlyArray<string>
  readonly defaultName: string | undefined
  readonly placement?: Placement | undefined
  readonly jobless?: boolean | undefined
  readonly locks?: ReadonlyArray<Lock> | undefined
  readonly phases?: ReadonlyArray<PhaseName> | undefined
}

/** An extension: a provisioner, `ext.<name>`, with one or more modes; the first is the default one. */
export interface Extension {
  readonly id: string
  readonly description: string
  readonly modes: Readonly<Record<string, AnyMode>>
}

/**
 * Makes a mode, sealing its plan's type.
 * @category constructors
 */
export const mode = <P, I>(definition: Mode<P, I>): AnyMode => {
  const decode = (encoded: unknown) => Effect.orDie(Schema.decodeUnknown(definition.schema)(encoded))
  return {
    description: definition.description,
    inputs: definition.inputs,
    plan: (request) =>
      Effect.gen(function* () {
        const plan = yield* definition.plan(request)
        return {
          encoded: yield* Effect.orDie(Schema.encode(definition.schema)(plan)),
          description: definition.describe(plan),
          defaultName: definition.defaultName(plan),
          placement: definition.placement?.(plan),
          jobless: definition.jobless?.(plan),
          locks: definition.locks?.(plan),
          phases: definition.phases?.(plan)
        }
      }),
    provision: (encoded) => Effect.flatMap(decode(encoded), definition.provision),
    teardown: (encoded, request) =>
      Effect.map(decode(encoded), (plan) => definition.teardown?.(plan, request)),
    sync: (encoded) => Effect.map(decode(encoded), (plan) => definition.sync?.(plan))
  }
}

/**
 * The extensions that there are.
 * @category services
 */
export class Extensions extends Context.Tag("sandboxer/Extensions")<
  Extensions,
  {
    readonly list: ReadonlyArray<Extension>
    readonly get: (id: string) => Effect.Effect<Extension, NotFound>
  }
>() {}

/** @category layers */
export const layerExtensions = (list: ReadonlyArray<Extension>): Layer.Layer<Extensions> =>
  Layer.succeed(Extensions, {
    list,
    get: (id) => {
      const found = list.find((extension) => extension.id === id)
      const ids = list.map((extension) => extension.id)
      return found === undefined
        ? Effect.fail(
            new NotFound({
              reason: "extension",
              message: `no extension ${id}`,
              hint: didYouMean(id, ids, `extensions are ${ids.join(", ")}`)
            })
          )
        : Effect.succeed(found)
    }
  })

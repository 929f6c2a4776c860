/** The SDK for extensions: modes, plans and what a mode returns. See `docs/extension-sdk.md`. */
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

/** What a mode plans from: the resolved inputs and the profile's settings. */
export interface PlanRequest {
  readonly inputs: Readonly<Record<string, unknown>>
  /** Names of the secret inputs; the recipe gets their values from `Provision`. */
  readonly secrets: ReadonlyArray<string>
  /** Names of the inputs that the profile passes to the template as variables. */
  readonly variables: ReadonlyArray<string>
  readonly prepare: Prepare | undefined
  /** The virtual hardware that the profile describes. */
  readonly hardware?: Hardware | undefined
  /** The folder that relative paths of `prepare` start from: that of the profile which names its inputs. */
  readonly profileFolder: string
  readonly requires: { readonly commands: ReadonlyArray<string>; readonly freeDisk: number | undefined }
  /** The host that the profile names, or `local`. */
  readonly host: string
}

/** What planning may read: local files and the settings. */
export type PlanServices = FileSystem.FileSystem | Path.Path | Settings

/** The result of a recipe. */
export interface Provisioned {
  readonly artifacts: ReadonlyArray<Artifact>
  readonly endpoint: typeof Endpoint.Type | null
}

/** What a sandbox left on its machine and what removes it; `what` describes it for people. */
export interface Teardown {
  readonly what: string
  readonly remove: Effect.Effect<void, HostError, Host | Hosts>
}

export interface TeardownRequest {
  readonly id: SandboxId
  /** Whether to remove also what the next sandbox would use again. */
  readonly deleteWorkspace: boolean
}

/** Copies the project of a ready sandbox to its machine again; returns the changes. */
export type Sync = (
  workspace: HostPath,
  options: { readonly dryRun: boolean }
) => Effect.Effect<ReadonlyArray<SyncChange>, HostError | UsageError, Host>

/**
 * One way of provisioning. `P` is its plan: a value with a schema, stored with the sandbox, so that any supervisor can
 * run the recipe from it.
 * @category model
 */
export interface Mode<P, I = unknown> {
  readonly description: string
  readonly inputs: InputDeclarations
  readonly schema: Schema.Schema<P, I>
  /** Makes the plan. It may read, never write; mistakes in the inputs are reported here. */
  readonly plan: (request: PlanRequest) => Effect.Effect<P, UsageError, PlanServices>
  /** Describes the plan, one line for each thing that will be done. */
  readonly describe: (plan: P) => ReadonlyArray<string>
  /** The default name of a sandbox. */
  readonly defaultName: (plan: P) => string | undefined
  /** Where the recipe runs. Default: the profile's host. */
  readonly placement?: (plan: P) => Placement
  /** Whether the recipe starts no Job and takes only a moment. Default: false. */
  readonly jobless?: (plan: P) => boolean
  /** What only one provision at a time may use, the `vm_name` first. Default: nothing. */
  readonly locks?: (plan: P) => ReadonlyArray<Lock>
  /** The expected phases, in order, as far as the plan tells. Default: unknown. */
  readonly phases?: (plan: P) => ReadonlyArray<PhaseName>
  /** The recipe. Each supervisor that takes the provision over runs it from the top. */
  readonly provision: (plan: P) => Effect.Effect<Provisioned, RecipeError, RecipeServices>
  /** What to remove when the sandbox ends; `undefined` for nothing. Removal must be safe to repeat. */
  readonly teardown?: (plan: P, request: TeardownRequest) => Teardown | undefined
  /** How `sandboxer sync` updates a ready sandbox; `undefined` if it cannot. */
  readonly sync?: (plan: P) => Sync | undefined
}

/** A mode with an opaque plan, as the manager handles it. Made by `mode`. */
export interface AnyMode {
  readonly description: string
  readonly inputs: InputDeclarations
  readonly plan: (request: PlanRequest) => Effect.Effect<PlannedMode, UsageError, PlanServices>
  readonly provision: (encoded: unknown) => Effect.Effect<Provisioned, RecipeError, RecipeServices>
  readonly teardown?: (encoded: unknown, request: TeardownRequest) => Effect.Effect<Teardown | undefined>
  readonly sync?: (encoded: unknown) => Effect.Effect<Sync | undefined>
}

/** A plan, encoded for the record, and what the manager needs to know of it. */
export interface PlannedMode {
  readonly encoded: unknown
  readonly description: ReadonlyArray<string>
  readonly defaultName: string | undefined
  readonly placement?: Placement | undefined
  readonly jobless?: boolean | undefined
  readonly locks?: ReadonlyArray<Lock> | undefined
  readonly phases?: ReadonlyArray<PhaseName> | undefined
}

/** A provisioner, `ext.<name>`, with one or more modes. The first mode is the default. */
export interface Extension {
  readonly id: string
  readonly description: string
  readonly modes: Readonly<Record<string, AnyMode>>
}

/**
 * Makes a mode whose plan type is hidden from the manager.
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
 * The installed extensions; `get` suggests the nearest id when there is none of that name.
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

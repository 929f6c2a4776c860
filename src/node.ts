/**
 * sandboxer on Node: the live layers, and their wiring.
 *
 * @example
 * import { layer } from "sandboxer/node"
 */

import { fileURLToPath } from "node:url"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { pipe } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as ArtifactsFiles from "./artifacts/files/ArtifactsFiles.js"
import * as Doctor from "./doctor/Doctor.js"
import * as DoctorMachine from "./doctor/machine/DoctorMachine.js"
import type { UsageError } from "./domain/Errors.js"
import { vmPacker } from "./extensions/vm-packer/index.js"
import { Host, Hosts } from "./hosts/Host.js"
import * as UptimeProc from "./hosts/local/UptimeProc.js"
import * as ByPlacement from "./hosts/placement/HostsByPlacement.js"
import type { Uptime } from "./hosts/Uptime.js"
import * as StateHubHttp from "./hub/client/http/StateHubHttp.js"
import type { StateHub } from "./hub/client/StateHub.js"
import type { HubServer, HubServerError, HubServerOptions } from "./hub/server/HubServer.js"
import type { HubStoreError } from "./hub/server/HubStore.js"
import * as PackerCommand from "./packer/command/PackerCommand.js"
import type { Packer } from "./packer/Packer.js"
import * as ProfilesDirectory from "./profiles/directory/ProfilesDirectory.js"
import type { Profiles } from "./profiles/Profiles.js"
import * as SupervisorsDetached from "./provisioning/detached/SupervisorsDetached.js"
import * as SupervisorsInProcess from "./provisioning/fibers/SupervisorsInProcess.js"
import type { SupervisionServices } from "./provisioning/Supervision.js"
import type { Supervisors } from "./provisioning/Supervisors.js"
import { type Extensions, layerExtensions } from "./recipe/Extension.js"
import { Provision } from "./recipe/Provision.js"
import { RecipeLayers } from "./recipe/Recipe.js"
import * as Steps from "./recipe/Steps.js"
import * as ReporterStore from "./recipe/store/ReporterStore.js"
import * as Sandboxes from "./sandboxes/Sandboxes.js"
import * as SecretsFiles from "./secrets/files/SecretsFiles.js"
import * as Settings from "./settings/Settings.js"
import * as ProcessIdentityProc from "./store/proc/ProcessIdentityProc.js"
import type { SandboxStore } from "./store/SandboxStore.js"
import * as SandboxStoreSql from "./store/sql/SandboxStoreSql.js"

export { layer as layerHosts } from "./hosts/placement/HostsByPlacement.js"
export { layer as layerHubHttp } from "./hub/client/http/StateHubHttp.js"
export { layer as layerHubJournal } from "./hub/client/journal/StateHubJournal.js"
export { layer as layerHubTee } from "./hub/client/tee/StateHubTee.js"
export { layer as layerPacker } from "./packer/command/PackerCommand.js"
export { layer as layerProfiles } from "./profiles/directory/ProfilesDirectory.js"
export { layer as layerStore } from "./store/sql/SandboxStoreSql.js"

/** Builds services within a scope, each layer of them once for all that are built with a memo map. */
type Build<A, E, R> = (known: Layer.MemoMap, scope: Scope.Scope) => Effect.Effect<Context.Context<A>, E, R>

const building =
  <A, E, R>(layer: Layer.Layer<A, E, R>): Build<A, E, R> =>
  (known, scope) =>
    Layer.buildWithMemoMap(layer, known, scope)

const built = <A, E, R>(build: Build<A, E, R>): Layer.Layer<A, E, Exclude<R, Scope.Scope>> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      return yield* build(yield* Layer.CurrentMemoMap, yield* Effect.scope)
    })
  )

/**
 * All the layers, those above with what they need of those below: as `Layer.provideMerge` of `Layer.mergeAll` has them, in
 * a sixth of the steps, for these make more layers of them, and a fiber for each. Every command builds what is here as it
 * starts, and takes it down as it ends.
 */
const onTop =
  <Above extends ReadonlyArray<Layer.Layer<never, unknown, unknown>>>(...above: Above) =>
  <A, E, R>(below: Build<A, E, R>) => {
    type Of<Each extends { readonly [K in keyof Above]: unknown }> = Each[number]
    type More = Of<{ readonly [K in keyof Above]: Layer.Layer.Success<Above[K]> }>
    type Fails = Of<{ readonly [K in keyof Above]: Layer.Layer.Error<Above[K]> }>
    type Needs = Of<{ readonly [K in keyof Above]: Layer.Layer.Context<Above[K]> }>
    type All = Build<A | More, E | Fails, R | Exclude<Needs, A>>
    const build: All = (known, scope) =>
      Effect.flatMap(below(known, scope), (given) =>
        Effect.provide(
          Effect.gen(function* () {
            let all: Context.Context<never> = given
            for (const layer of above as ReadonlyArray<Layer.Layer<never, Fails, Needs>>) {
              all = Context.merge(all, yield* Layer.buildWithMemoMap(layer, known, scope))
            }
            return all as Context.Context<A | More>
          }),
          given
        )
      )
    return build
  }

const platform = pipe(building(NodeFileSystem.layer), onTop(NodePath.layer))
const layerPlatform = built(platform)

/**
 * Gives recipes their services, with the given Packer.
 * @category layers
 */
export const layerRecipes = (
  packer: Layer.Layer<Packer, never, Host>
): Layer.Layer<
  RecipeLayers,
  never,
  Hosts | SandboxStore | Settings.Settings | FileSystem.FileSystem | Path.Path | Uptime
> =>
  Layer.effect(
    RecipeLayers,
    Effect.gen(function* () {
      const services = yield* Effect.context<
        Hosts | SandboxStore | Settings.Settings | FileSystem.FileSystem | Path.Path | Uptime
      >()
      const hosts = Context.get(services, Hosts)
      return {
        of: (provision, placement) =>
          built(
            pipe(
              building(
                Layer.effectContext(
                  Effect.map(hosts.get(placement), (host) =>
                    Context.merge(services, Context.make(Host, host)).pipe(Context.add(Provision, provision))
                  )
                )
              ),
              onTop(ArtifactsFiles.layer(provision), ReporterStore.layer, Steps.layer, packer)
            )
          )
      }
    })
  )

/** What can be swapped: each has a live layer that is taken where none is given. */
export interface LayerOptions {
  /** By default those of the `sandboxer` command: this process's environment, working directory, and what ships. */
  readonly settings?: Partial<Settings.SettingsInput>
  readonly hosts?: Layer.Layer<Hosts, never, Settings.Settings>
  readonly packer?: Layer.Layer<Packer, never, Host>
  readonly stateHub?: Layer.Layer<StateHub, never, Settings.Settings | FileSystem.FileSystem | Path.Path>
  readonly extensions?: Layer.Layer<Extensions>
}

const layerSettings = (given: LayerOptions["settings"]) =>
  Layer.suspend(() =>
    Settings.layer({
      overrides: {},
      environment: process.env,
      workingDirectory: process.cwd(),
      shipped: fileURLToPath(new URL("../profiles", import.meta.url)),
      ...given
    })
  )

const layerShipped = layerExtensions([vmPacker])

const supervision = ({ extensions, hosts, packer, settings, stateHub }: LayerOptions) =>
  pipe(
    platform,
    onTop(layerSettings(settings)),
    onTop(hosts ?? ByPlacement.layer, SandboxStoreSql.layer, UptimeProc.layer),
    onTop(
      layerRecipes(packer ?? PackerCommand.layer),
      SecretsFiles.layer,
      ProcessIdentityProc.layer,
      extensions ?? layerShipped,
      stateHub ?? StateHubHttp.layer,
      ProfilesDirectory.layer
    )
  )

const layerDoctor = (packer: Layer.Layer<Packer, never, Host>) =>
  Doctor.layer.pipe(
    Layer.provide(Layer.merge(packer, DoctorMachine.layer(SandboxStoreSql.layer))),
    // There is always a local host.
    Layer.provide(
      Layer.orDie(
        Layer.effect(
          Host,
          Effect.flatMap(Hosts, (hosts) => hosts.get({ host: "local" }))
        )
      )
    ),
    Layer.provide(ByPlacement.layer)
  )

/**
 * What does without the store: nothing is opened or made.
 * @category layers
 */
export const layerSettled = ({
  extensions,
  packer,
  settings
}: Pick<LayerOptions, "extensions" | "packer" | "settings">): Layer.Layer<
  Settings.Settings | Profiles | Extensions | Doctor.Doctor | Hosts,
  UsageError
> =>
  Layer.mergeAll(
    ProfilesDirectory.layer,
    extensions ?? layerShipped,
    layerDoctor(packer ?? PackerCommand.layer),
    ByPlacement.layer
  ).pipe(Layer.provideMerge(layerSettings(settings)), Layer.provide(layerPlatform))

/** Everything that sandboxer gives. */
export type Services =
  | Sandboxes.Sandboxes
  | Supervisors
  | SupervisionServices
  | Profiles
  | Settings.Settings
  | FileSystem.FileSystem
  | Path.Path

/**
 * sandboxer within this program: provisions are supervised by its own fibers.
 * @category layers
 */
export const layer = (options: LayerOptions = {}): Layer.Layer<Services, UsageError> =>
  built(pipe(supervision(options), onTop(SupervisorsInProcess.layer), onTop(Sandboxes.layer)))

/**
 * As `layer`, with supervisors that are processes: they go on when this program ends. `executable` is the file of
 * the `sandboxer` command.
 * @category layers
 */
export const layerDetached = (
  options: LayerOptions & { readonly executable: string }
): Layer.Layer<Services, UsageError> =>
  built(
    pipe(supervision(options), onTop(SupervisorsDetached.layer(options.executable)), onTop(Sandboxes.layer))
  )

/**
 * A State Hub that listens until its scope ends. Its notes are in `database`, else in `hub.db` of the state directory.
 * @category layers
 */
export const layerHubServer = (
  options: HubServerOptions & { readonly database?: string }
): Layer.Layer<HubServer, HubServerError | HubStoreError, Settings.Settings> =>
  Layer.unwrapEffect(
    // Whoever starts none does not load all that a server takes.
    Effect.map(
      Effect.promise(() =>
        Promise.all([import("./hub/server/node/HubServerNode.js"), import("./hub/server/sql/HubStoreSql.js")])
      ),
      ([server, store]) => Layer.provide(server.layer(options), store.layer(options.database))
    )
  ).pipe(Layer.provide(layerPlatform))

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
import * as Layer from "effect/Layer"
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

const layerPlatform = Layer.merge(NodeFileSystem.layer, NodePath.layer)

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
          Layer.mergeAll(ArtifactsFiles.layer(provision), ReporterStore.layer, Steps.layer, packer).pipe(
            Layer.provideMerge(
              Layer.effectContext(
                Effect.map(hosts.get(placement), (host) =>
                  Context.merge(services, Context.make(Host, host)).pipe(Context.add(Provision, provision))
                )
              )
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
  Layer.mergeAll(
    layerRecipes(packer ?? PackerCommand.layer),
    SecretsFiles.layer,
    ProcessIdentityProc.layer,
    extensions ?? layerShipped,
    stateHub ?? StateHubHttp.layer,
    ProfilesDirectory.layer
  ).pipe(
    Layer.provideMerge(Layer.mergeAll(hosts ?? ByPlacement.layer, SandboxStoreSql.layer, UptimeProc.layer)),
    Layer.provideMerge(layerSettings(settings)),
    Layer.provideMerge(layerPlatform)
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
  Sandboxes.layer.pipe(
    Layer.provideMerge(SupervisorsInProcess.layer),
    Layer.provideMerge(supervision(options))
  )

/**
 * As `layer`, with supervisors that are processes: they go on when this program ends. `executable` is the file of
 * the `sandboxer` command.
 * @category layers
 */
export const layerDetached = (
  options: LayerOptions & { readonly executable: string }
): Layer.Layer<Services, UsageError> =>
  Sandboxes.layer.pipe(
    Layer.provideMerge(SupervisorsDetached.layer(options.executable)),
    Layer.provideMerge(supervision(options))
  )

/**
 * A State Hub that listens until its scope ends. Its notes are in `database`, else in `hub.db` of the state directory.
 * @category layers
 */
export const layerHubServer = (
  options: HubServerOptions & { readonly database?: string }
): Layer.Layer<HubServer, HubServerError | HubStoreError, Settings.Settings> =>
  Layer.unwrapEffect(
    // Loaded on demand: most programs start no server.
    Effect.map(
      Effect.promise(() =>
        Promise.all([import("./hub/server/node/HubServerNode.js"), import("./hub/server/sql/HubStoreSql.js")])
      ),
      ([server, store]) => Layer.provide(server.layer(options), store.layer(options.database))
    )
  ).pipe(Layer.provide(layerPlatform))

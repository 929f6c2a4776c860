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
import * as ArtifactsFiles from "./Artifacts/Files.js"
import * as DoctorMachine from "./Doctor/Machine.js"
import * as Doctor from "./Doctor.js"
import type { UsageError } from "./domain/Errors.js"
import { type Extensions, layerExtensions } from "./Extension.js"
import { vmPacker } from "./extensions/vm-packer/index.js"
import * as HoldersProc from "./Holders/Proc.js"
import * as ByPlacement from "./Host/ByPlacement.js"
import { Host, Hosts } from "./Host.js"
import type { HubServer, HubServerError, HubServerOptions } from "./HubServer.js"
import type { HubStoreError } from "./HubStore.js"
import * as PackerCommand from "./Packer/Command.js"
import type { Packer } from "./Packer.js"
import * as ProfilesDirectory from "./Profiles/Directory.js"
import type { Profiles } from "./Profiles.js"
import { Provision } from "./Provision.js"
import { RecipeLayers } from "./Recipe.js"
import * as ReporterStore from "./Reporter/Store.js"
import * as Sandboxes from "./Sandboxes.js"
import * as SandboxStoreOnDemand from "./SandboxStore/OnDemand.js"
import * as SandboxStoreSql from "./SandboxStore/Sql.js"
import type { SandboxStore } from "./SandboxStore.js"
import * as SecretsFiles from "./Secrets/Files.js"
import * as Settings from "./Settings.js"
import * as StateHubHttp from "./StateHub/Http.js"
import type { StateHub } from "./StateHub.js"
import * as Steps from "./Steps.js"
import type { SupervisionServices } from "./Supervision.js"
import * as SupervisorsDetached from "./Supervisors/Detached.js"
import * as SupervisorsInProcess from "./Supervisors/InProcess.js"
import type { Supervisors } from "./Supervisors.js"
import * as UptimeProc from "./Uptime/Proc.js"
import type { Uptime } from "./Uptime.js"

export { layer as layerHosts } from "./Host/ByPlacement.js"
export { layer as layerPacker } from "./Packer/Command.js"
export { layer as layerProfiles } from "./Profiles/Directory.js"
export { layer as layerStore } from "./SandboxStore/Sql.js"
export { layer as layerHubHttp } from "./StateHub/Http.js"
export { layer as layerHubJournal } from "./StateHub/Journal.js"
export { layer as layerHubTee } from "./StateHub/Tee.js"

/**
 * Both layers, the one above with what it needs of the one below: as `Layer.provideMerge` has them, in a third of its steps,
 * for that makes four more layers of it and remembers each. Every command builds what is here as it starts.
 */
const onTop =
  <B, E2, R2>(above: Layer.Layer<B, E2, R2>) =>
  <A, E, R>(below: Layer.Layer<A, E, R>) =>
    Layer.scopedContext(
      Effect.gen(function* () {
        const known = yield* Layer.CurrentMemoMap
        const scope = yield* Effect.scope
        const given = yield* Layer.buildWithMemoMap(below, known, scope)
        const more = yield* Effect.provide(Layer.buildWithMemoMap(above, known, scope), given)
        return Context.merge(given, more)
      })
    )

const platform = onTop(NodePath.layer)(NodeFileSystem.layer)

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
          Layer.effectContext(
            Effect.map(hosts.get(placement), (host) =>
              Context.merge(services, Context.make(Host, host)).pipe(Context.add(Provision, provision))
            )
          ).pipe(onTop(Layer.mergeAll(ArtifactsFiles.layer, ReporterStore.layer, Steps.layer, packer)))
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
const layerSandboxStore = SandboxStoreOnDemand.layer(SandboxStoreSql.layer)

const supervision = ({ extensions, hosts, packer, settings, stateHub }: LayerOptions) =>
  platform.pipe(
    onTop(layerSettings(settings)),
    onTop(Layer.mergeAll(hosts ?? ByPlacement.layer, layerSandboxStore, UptimeProc.layer)),
    onTop(
      Layer.mergeAll(
        layerRecipes(packer ?? PackerCommand.layer),
        SecretsFiles.layer,
        HoldersProc.layer,
        extensions ?? layerShipped,
        stateHub ?? StateHubHttp.layer,
        ProfilesDirectory.layer
      )
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
  ).pipe(Layer.provideMerge(layerSettings(settings)), Layer.provide(platform))

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
  supervision(options).pipe(onTop(SupervisorsInProcess.layer), onTop(Sandboxes.layer))

/**
 * As `layer`, with supervisors that are processes: they go on when this program ends. `executable` is the file of
 * the `sandboxer` command.
 * @category layers
 */
export const layerDetached = (
  options: LayerOptions & { readonly executable: string }
): Layer.Layer<Services, UsageError> =>
  supervision(options).pipe(onTop(SupervisorsDetached.layer(options.executable)), onTop(Sandboxes.layer))

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
      Effect.promise(() => Promise.all([import("./HubServer/Node.js"), import("./HubStore/Sql.js")])),
      ([server, store]) => Layer.provide(server.layer(options), store.layer(options.database))
    )
  ).pipe(Layer.provide(platform))

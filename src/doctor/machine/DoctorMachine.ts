/** The checks of the machine that this program runs on. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Host } from "../../hosts/Host.js"
import { Settings } from "../../settings/Settings.js"
import type { SandboxStore, StoreError } from "../../store/SandboxStore.js"
import { Machine } from "../Doctor.js"
import { database } from "./Database.js"
import { disk } from "./Disk.js"
import { kvm } from "./Kvm.js"
import { stateDirectory } from "./StateDirectory.js"

/**
 * Opens `store` only if it has a database.
 * @category layers
 */
export const layer = <R>(
  store: Layer.Layer<SandboxStore, StoreError, R>
): Layer.Layer<Machine, never, R | Host | Settings | FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    Machine,
    Effect.gen(function* () {
      const services = yield* Effect.context<R | FileSystem.FileSystem | Path.Path>()
      const host = yield* Host
      const path = yield* Path.Path
      const { home } = yield* Settings
      return {
        kvm: kvm(host),
        state: Effect.gen(function* () {
          const directory = yield* stateDirectory(home)
          const within =
            directory.status === "missing" ? [] : yield* database(path.join(home, "sandboxer.db"), store)
          return [directory, ...within, yield* disk(host)]
        }).pipe(Effect.provide(services))
      }
    })
  )

/** Supervisors as processes of their own: `sandboxer supervise ID`, which outlives the one who started it. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { detach } from "../Processes.js"
import { StoreError } from "../SandboxStore.js"
import { Settings } from "../Settings.js"
import { Supervisors } from "../Supervisors.js"

const cannotStart = (error: { readonly message: string }) =>
  new StoreError({
    reason: "other",
    message: `no supervisor can be started: ${error.message}`,
    hint: "check the state directory's permissions, and the limit of processes"
  })

/**
 * `executable` is the JavaScript file of the command line.
 * @category layers
 */
export const layer = (executable: string) =>
  Layer.effect(
    Supervisors,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const { home } = yield* Settings
      return {
        start: (id) =>
          Effect.scoped(
            Effect.gen(function* () {
              const folder = path.join(home, "logs")
              yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
              // What it has to say when it cannot even begin.
              const errors = yield* fs.open(path.join(folder, `${id}.supervisor`), { flag: "a", mode: 0o600 })
              yield* detach(
                {
                  program: process.execPath,
                  args: [executable, "supervise", id],
                  cwd: home,
                  env: { SANDBOXER_HOME: home }
                },
                { errors: errors.fd }
              )
            })
          ).pipe(Effect.mapError(cannotStart))
      }
    })
  )

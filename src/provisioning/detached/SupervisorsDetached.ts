/** Supervisors as detached processes, `sandboxer supervise ID`, that outlive their starter. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { SandboxId } from "../../domain/Sandbox.js"
import { cookie } from "../../hosts/Host.js"
import { detach } from "../../internal/Processes.js"
import { Settings } from "../../settings/Settings.js"
import { StoreError } from "../../store/SandboxStore.js"
import * as InProcess from "../fibers/SupervisorsInProcess.js"
import type { SupervisionServices } from "../Supervision.js"
import { Supervisors } from "../Supervisors.js"

const cannotStart = (error: { readonly message: string }) =>
  new StoreError({
    reason: "other",
    message: `no supervisor can be started: ${error.message}`,
    hint: "check the permissions of the state directory and the limit on processes"
  })

/**
 * `executable` is the JavaScript file of the command line.
 * @category layers
 */
export const layer = (
  executable: string
): Layer.Layer<Supervisors, never, Settings | Exclude<SupervisionServices, Supervisors>> =>
  Layer.scoped(
    Supervisors,
    Effect.gen(function* () {
      const { home, hub, namedConfiguration } = yield* Settings
      const start = (id: SandboxId) =>
        detach({
          program: process.execPath,
          args: [executable, "supervise", id],
          cwd: home,
          env: {
            SANDBOXER_HOME: home,
            // A relative path would be wrong in its working directory. An empty variable counts as unset.
            SANDBOXER_CONFIG: namedConfiguration ?? "",
            STATE_HUB_URL: hub?.url ?? "",
            STATE_HUB_TOKEN: hub?.token === undefined ? "" : Redacted.value(hub.token),
            // If this runs inside a Job, the supervisor must not count as one of that Job's processes.
            [cookie]: ""
          }
        }).pipe(Effect.asVoid, Effect.mapError(cannotStart))
      return yield* InProcess.make((here) => ({
        start: (id, options) => (options?.here === true ? here.start(id) : start(id)),
        ended: here.ended
      }))
    })
  )

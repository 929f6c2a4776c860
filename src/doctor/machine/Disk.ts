/** Checks the space for images and for the files of running builds. */
import * as Effect from "effect/Effect"
import { type Check, missing, ok, warning } from "../../domain/Check.js"
import { dirname, type HostPath } from "../../domain/HostPath.js"
import { formatSize } from "../../domain/Units.js"
import type { HostError, HostShape } from "../../hosts/Host.js"
import { Timing } from "../../settings/Timing.js"

/** The free space of the path, or of the nearest folder above it that exists. */
const freeBytes = (host: HostShape, path: HostPath): Effect.Effect<number, HostError> =>
  Effect.catchAll(host.freeBytes(path), (error) =>
    path === "/" ? Effect.fail(error) : freeBytes(host, dirname(path))
  )

export const disk = (host: HostShape): Effect.Effect<Check> =>
  Effect.zip(freeBytes(host, host.home), Timing).pipe(
    Effect.map(([free, { doctor }]) => {
      const detail = `${formatSize(free)} free for ${host.home}`
      const hint = "free some space, or set SANDBOXER_HOME to a folder on a larger disk"
      return free < doctor.diskMissingBytes
        ? missing("disk", detail, hint)
        : free < doctor.diskLowBytes
          ? warning("disk", detail, hint)
          : ok("disk", detail)
    }),
    Effect.catchAll(({ hint, message }) => Effect.succeed(missing("disk", message, hint)))
  )

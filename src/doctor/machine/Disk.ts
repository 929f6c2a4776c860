/** The space for images and for what builds keep while they run. */
import * as Effect from "effect/Effect"
import { type Check, missing, ok, warning } from "../../domain/Check.js"
import { dirname, type HostPath } from "../../domain/HostPath.js"
import { formatSize } from "../../domain/Units.js"
import type { HostError, HostShape } from "../../hosts/Host.js"

const gib = 1024 ** 3
const little = 5 * gib
const tooLittle = gib

/** Of the path, or of the nearest one above it that is there. */
const freeBytes = (host: HostShape, path: HostPath): Effect.Effect<number, HostError> =>
  Effect.catchAll(host.freeBytes(path), (error) =>
    path === "/" ? Effect.fail(error) : freeBytes(host, dirname(path))
  )

export const disk = (host: HostShape): Effect.Effect<Check> =>
  freeBytes(host, host.home).pipe(
    Effect.map((free) => {
      const detail = `${formatSize(free)} free for ${host.home}`
      const hint = "free some space, or set SANDBOXER_HOME to a folder on a larger disk"
      return free < tooLittle
        ? missing("disk", detail, hint)
        : free < little
          ? warning("disk", detail, hint)
          : ok("disk", detail)
    }),
    Effect.catchAll(({ hint, message }) => Effect.succeed(missing("disk", message, hint)))
  )

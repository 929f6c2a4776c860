import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ProvisionError } from "../../../../domain/Failure.js"
import { monotonicSeconds as now } from "../../../../domain/Monotonic.js"
import { Packer } from "../../../../packer/Packer.js"
import { heldFor, type Watched } from "./Watched.js"

/** Ends a Packer that waits for a port which another program uses: it would try for ever. */
export const watchPort = Effect.fn(function* (watched: Watched) {
  const packer = yield* Packer
  const { job, printed, repeatedly, timing } = watched
  const limit = Duration.toSeconds(timing.portSilence)
  const waits = heldFor()
  yield* Effect.gen(function* () {
    const at = yield* now
    // Ports are chosen before a machine starts.
    const early = [...printed.phases.values()].every(
      (phase) => phase === undefined || phase === "fetch" || phase === "create"
    )
    const silent = at - printed.at >= limit / 2
    const port = early && silent ? yield* packer.awaitedPort(job) : undefined
    const seconds = waits(port !== undefined, at)
    if (seconds === undefined || seconds < limit) return
    yield* watched.stop(
      new ProvisionError({
        reason: "port-taken",
        message: `Packer waits for port ${port}, which another program uses`,
        hint: "give the template a range of ports (host_port_min and host_port_max, vnc_port_min), or end the program that uses it: `ss -ltnp`"
      })
    )
  }).pipe(Effect.repeat({ schedule: repeatedly }))
})

/** Processes of this machine, told apart by what /proc says of them. */
import { readFileSync } from "node:fs"
import { hostname } from "node:os"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Holder } from "../../domain/Holder.js"
import * as Proc from "../../internal/Proc.js"
import { signal } from "../../internal/Processes.js"
import { ProcessIdentity } from "../ProcessIdentity.js"

const machineId = (): string => {
  try {
    return readFileSync("/etc/machine-id", "utf8").trim() || hostname()
  } catch {
    // A container may have none.
    return hostname()
  }
}

const self = (): Holder => ({
  machine: machineId(),
  bootId: Proc.bootId(),
  pid: process.pid,
  startTime: Proc.processInfo(process.pid)?.startTime ?? 0
})

/** @category layers */
export const layer: Layer.Layer<ProcessIdentity> = Layer.sync(ProcessIdentity, () => {
  const me = self()
  const isThere = (holder: Holder) => {
    const info = Proc.processInfo(holder.pid)
    return info !== undefined && !info.zombie && info.startTime === holder.startTime
  }
  return {
    self: me,
    mayBeAlive: (holder) =>
      Effect.sync(() => holder.machine !== me.machine || (holder.bootId === me.bootId && isThere(holder))),
    kill: (holder) =>
      Effect.suspend(() =>
        // Supervisors may be fibers of this program, which is not to end for one of them.
        holder.pid !== me.pid &&
        holder.machine === me.machine &&
        holder.bootId === me.bootId &&
        isThere(holder)
          ? signal(holder.pid, "SIGKILL")
          : Effect.void
      )
  }
})

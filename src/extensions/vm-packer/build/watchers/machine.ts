import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ProvisionError } from "../../../../domain/Failure.js"
import { monotonicSeconds as now } from "../../../../domain/Monotonic.js"
import { Host } from "../../../../hosts/Host.js"
import { Packer } from "../../../../packer/Packer.js"
import { Steps } from "../../../../recipe/Steps.js"
import { heldFor, type Watched } from "./Watched.js"

/** Names of QEMU's processes. */
const isHypervisor = ({ name }: { readonly name: string }) => /^(?:qemu-system|qemu-kvm|kvm$)/.test(name)

/**
 * Ends a Packer that waits for a machine whose process has ended: it would wait until its own timeout.
 *
 * Watches only after it has seen a machine, as another emulator's process may have another name. That it has is
 * journaled, so that the next supervisor watches although the machine is gone by then.
 */
export const watchMachine = Effect.fn(function* (watched: Watched) {
  const host = yield* Host
  const packer = yield* Packer
  const steps = yield* Steps
  const { job, printed, repeatedly, timing } = watched
  const isRunning = Effect.map(host.jobProcesses(job.folder), (all) => all.some(isHypervisor))
  yield* steps.step(
    "machine-seen",
    Schema.Boolean,
    Effect.repeat(Effect.delay(isRunning, timing.interval), { until: (seen) => seen })
  )
  const gone = heldFor()
  yield* Effect.gen(function* () {
    const at = yield* now
    const limit = longestGoneOf(watched)
    const seconds = gone(limit !== undefined && !(yield* isRunning), at)
    if (limit === undefined || seconds === undefined || seconds < limit) return
    // Output while the guest is provisioned shows that Packer goes on, as with a provisioner that reboots it.
    if ([...printed.phases.values()].includes("provision") && at - printed.at < limit) return
    const said = yield* packer.qemuMessage(job)
    const [build, phase] = [...printed.phases][0] ?? []
    yield* watched.stop(
      new ProvisionError({
        reason: "hypervisor-died",
        message: `${build}: the virtual machine ended while Packer was still in phase ${phase}${said === undefined ? "" : `; it said: ${said}`}`,
        hint: "see whether the kernel killed it (`dmesg`) or the guest powers itself off; otherwise create the sandbox again"
      })
    )
  }).pipe(Effect.repeat({ schedule: repeatedly }))
})

/** How long the machines of all running builds may be gone, in seconds; undefined while one of them needs none. */
const longestGoneOf = ({ machines, printed, timing }: Watched): number | undefined => {
  const limits = [...printed.phases].map(([build, phase]) =>
    phase === undefined || !machines.includes(build) || (phase === "provision" && printed.provisionsLocally)
      ? undefined
      : timing.machineGone[phase]
  )
  return limits.length === 0 || limits.includes(undefined)
    ? undefined
    : Math.max(...limits.map((limit) => (limit === undefined ? 0 : Duration.toSeconds(limit))))
}

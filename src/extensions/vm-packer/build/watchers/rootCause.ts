/** Root causes of a failure that the host shows and Packer does not know: a full disk, and a kill by the kernel. */
import * as Effect from "effect/Effect"
import { type FailureReason, ProvisionError } from "../../../../domain/Failure.js"
import type { HostPath } from "../../../../domain/HostPath.js"
import type { HostShape } from "../../../../hosts/Host.js"
import type { RecipeError } from "../../../../recipe/Recipe.js"

/** Prints how many processes the kernel has killed for lack of memory: on the host, and in this control group. */
const countOomKills = `
group() { sed -n "s/^[0-9]*:$1://p" /proc/self/cgroup; }
cat /proc/vmstat "/sys/fs/cgroup$(group '')/memory.events" "/sys/fs/cgroup/memory$(group memory)/memory.oom_control" \\
  2>/dev/null | sed -n 's/^oom_kill //p'
`

/** A number that grows with each process that the kernel kills for lack of memory; 0 if it is unknown. */
export const oomKills = (host: HostShape): Effect.Effect<number> =>
  host.run({ program: "sh", args: ["-c", countOomKills] }).pipe(
    Effect.map(({ stdout }) =>
      stdout
        .split("\n")
        .filter((line) => /^\d+$/.test(line))
        .reduce((sum, line) => sum + Number(line), 0)
    ),
    Effect.orElseSucceed(() => 0)
  )

const explainedByDisk: ReadonlyArray<FailureReason> = [
  "build-failed",
  "boot-failed",
  "connect-timeout",
  "download-failed",
  "hypervisor-died",
  "interrupted",
  "packer-crashed"
]

/** Whether a full disk would explain a failure. */
export const mayBeOfDisk = (error: RecipeError): boolean =>
  error._tag === "ProvisionError"
    ? explainedByDisk.includes(error.reason)
    : error._tag === "HostError"
      ? error.reason === "disk-full"
      : error.reason === "not-writable"

/** Whether a kill by the kernel would explain a failure: a process ended that was not asked to. */
export const mayBeOfMemory = (error: RecipeError): boolean =>
  error._tag === "ProvisionError" &&
  (error.reason === "hypervisor-died" ||
    error.reason === "interrupted" ||
    (error.reason === "build-failed" && /signal: killed|by signal 9$|unexpected EOF/.test(error.message)))

/** A failure whose root cause is added. */
interface Known {
  readonly message: string
  readonly logTail?: ReadonlyArray<string>
}

export const diskFull = (host: HostShape, path: HostPath, { logTail = [], message }: Known): ProvisionError =>
  new ProvisionError({
    reason: "disk-full",
    message: `the disk of ${path} on ${host.name} became full: ${message}`,
    hint: "free some space there, or set SANDBOXER_HOME to a folder on a larger disk; a profile can require free space: freeDisk",
    logTail
  })

export const outOfMemory = (host: HostShape, { logTail = [], message }: Known): ProvisionError =>
  new ProvisionError({
    reason: "out-of-memory",
    message: `the kernel of ${host.name} killed a process for lack of memory: ${message}`,
    hint: "lower the machine's memory in the template, or run fewer builds at a time; `dmesg` shows what was killed",
    logTail
  })

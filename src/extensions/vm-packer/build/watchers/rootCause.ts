/** What the machine says of a failure that Packer cannot tell the cause of. */
import * as Effect from "effect/Effect"
import { type FailureReason, ProvisionError } from "../../../../domain/Failure.js"
import type { HostPath } from "../../../../domain/HostPath.js"
import type { HostShape } from "../../../../hosts/Host.js"
import type { RecipeError } from "../../../../recipe/Recipe.js"

/** How many processes the kernel has killed for want of memory: of this control group, and of all. */
const countOomKills = `
group() { sed -n "s/^[0-9]*:$1://p" /proc/self/cgroup; }
cat /proc/vmstat "/sys/fs/cgroup$(group '')/memory.events" "/sys/fs/cgroup/memory$(group memory)/memory.oom_control" \\
  2>/dev/null | sed -n 's/^oom_kill //p'
`

/** A number that grows with each process that the kernel kills for want of memory; 0 where it cannot be known. */
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

const ofDisk: ReadonlyArray<FailureReason> = [
  "build-failed",
  "boot-failed",
  "connect-timeout",
  "download-failed",
  "hypervisor-died",
  "interrupted",
  "packer-crashed"
]

/** Whether a full disk would explain it. */
export const mayBeOfDisk = (error: RecipeError): boolean =>
  error._tag === "ProvisionError"
    ? ofDisk.includes(error.reason)
    : error._tag === "HostError"
      ? error.reason === "disk-full"
      : error.reason === "not-writable"

/** Whether the kernel's kill would explain it: something is gone that nobody told to go. */
export const mayBeOfMemory = (error: RecipeError): boolean =>
  error._tag === "ProvisionError" &&
  (error.reason === "hypervisor-died" ||
    error.reason === "interrupted" ||
    (error.reason === "build-failed" && /signal: killed|by signal 9$|unexpected EOF/.test(error.message)))

/** What is known of a failure. */
interface Said {
  readonly message: string
  readonly logTail?: ReadonlyArray<string>
}

export const diskFull = (host: HostShape, path: HostPath, { logTail = [], message }: Said): ProvisionError =>
  new ProvisionError({
    reason: "disk-full",
    message: `the disk of ${path} on ${host.name} became full: ${message}`,
    hint: "free some space there, or set SANDBOXER_HOME to a folder on a larger disk; profiles can ask for space: freeDisk",
    logTail
  })

export const outOfMemory = (host: HostShape, { logTail = [], message }: Said): ProvisionError =>
  new ProvisionError({
    reason: "out-of-memory",
    message: `the kernel of ${host.name} killed a process for want of memory: ${message}`,
    hint: "lower the machine's memory in the template, or build fewer at a time; `dmesg` says what was killed",
    logTail
  })

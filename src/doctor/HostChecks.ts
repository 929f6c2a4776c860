/** Whether a host has what provisions need there, and what to do where it has not. */
import * as Effect from "effect/Effect"
import { type Check, missing, ok, warning } from "../domain/Check.js"
import type { Placement } from "../domain/Placement.js"
import { installHint } from "../domain/Programs.js"
import { formatSize } from "../domain/Units.js"
import { type HostError, type HostShape, Hosts } from "../hosts/Host.js"

const timeoutSeconds = 20

/** What is looked for there, and who needs it. */
const programs = [
  { name: "setsid", otherwise: missing, need: "jobs are started by it" },
  { name: "rsync", otherwise: missing, need: "files are brought there and back by it" },
  { name: "sha256sum", otherwise: missing, need: "files are checked by it" },
  { name: "packer", otherwise: warning, need: "build mode runs it there" },
  { name: "qemu-img", otherwise: warning, need: "build mode looks at disks by it there" },
  { name: "flock", otherwise: warning, need: "profiles that prepare something need it" }
] as const

const which = 'for one; do command -v -- "$one" || echo; done'

const look = (host: HostShape): Effect.Effect<ReadonlyArray<Check>, HostError> =>
  Effect.gen(function* () {
    const { keyFingerprint, port, user, host: address } = yield* host.identity
    const names = programs.map(({ name }) => name)
    const { stdout } = yield* host.run(
      { program: "sh", args: ["-c", which, "sh", ...names] },
      { timeoutSeconds }
    )
    const found = stdout.split("\n")
    const free = yield* host.freeBytes(host.home)
    return [
      ok("reach", keyFingerprint === null ? `${user} on this machine` : `${user}@${address}, port ${port}`),
      ...(keyFingerprint === null ? [] : [ok("key", keyFingerprint)]),
      ok("sh", "it runs what it is told to"),
      ...programs.map(({ name, need, otherwise }, index) =>
        (found[index] ?? "") === ""
          ? otherwise(name, `${name} is not on the PATH`, `${need}; ${installHint([name])}`)
          : ok(name, found[index] ?? "")
      ),
      ok("disk", `${formatSize(free)} free in ${host.home}`)
    ]
  })

/** Looks at a host; one that cannot be reached, or does not let us in, is an error. */
export const check = (placement: Placement): Effect.Effect<ReadonlyArray<Check>, HostError, Hosts> =>
  Effect.flatMap(Hosts, (hosts) => Effect.flatMap(hosts.get(placement), look))

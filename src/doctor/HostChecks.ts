/** Checks whether a host has what provisions need there, and says what to do about what is missing. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Check, missing, ok, warning } from "../domain/Check.js"
import type { Placement } from "../domain/Placement.js"
import { installHint } from "../domain/Programs.js"
import { formatSize } from "../domain/Units.js"
import { type HostError, type HostShape, Hosts } from "../hosts/Host.js"
import { Timing } from "../settings/Timing.js"

/** The programs that are looked for, and why they are needed. */
const programs = [
  { name: "setsid", otherwise: missing, need: "it starts Jobs" },
  { name: "rsync", otherwise: missing, need: "it copies files to the host and back" },
  { name: "sha256sum", otherwise: missing, need: "it checks files" },
  { name: "packer", otherwise: warning, need: "build mode runs it on the host" },
  { name: "qemu-img", otherwise: warning, need: "build mode examines disks with it on the host" },
  { name: "flock", otherwise: warning, need: "profiles with `prepare` need it" }
] as const

const which = 'for one; do command -v -- "$one" || echo; done'

const look = (host: HostShape): Effect.Effect<ReadonlyArray<Check>, HostError> =>
  Effect.gen(function* () {
    const { keyFingerprint, port, user, host: address } = yield* host.identity
    const names = programs.map(({ name }) => name)
    const { stdout } = yield* host.run(
      { program: "sh", args: ["-c", which, "sh", ...names] },
      { timeoutSeconds: Duration.toSeconds((yield* Timing).doctor.hostTimeout) }
    )
    const found = stdout.split("\n")
    const free = yield* host.freeBytes(host.home)
    return [
      ok("reach", keyFingerprint === null ? `${user} on this machine` : `${user}@${address}, port ${port}`),
      ...(keyFingerprint === null ? [] : [ok("key", keyFingerprint)]),
      ok("sh", "it runs commands"),
      ...programs.map(({ name, need, otherwise }, index) =>
        (found[index] ?? "") === ""
          ? otherwise(name, `${name} is not on the PATH`, `${need}; ${installHint([name])}`)
          : ok(name, found[index] ?? "")
      ),
      ok("disk", `${formatSize(free)} free in ${host.home}`)
    ]
  })

/** Checks a host. It fails if the host cannot be reached or refuses the login. */
export const check = (placement: Placement): Effect.Effect<ReadonlyArray<Check>, HostError, Hosts> =>
  Effect.flatMap(Hosts, (hosts) => Effect.flatMap(hosts.get(placement), look))

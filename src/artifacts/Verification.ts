/** Checks whether the file of an artifact is unchanged and intact. */
import * as Effect from "effect/Effect"
import type { Artifact } from "../domain/Artifact.js"
import type { HostPath } from "../domain/HostPath.js"
import { type HostError, type HostShape, Hosts } from "../hosts/Host.js"

/** `checked` names the checks that ran, in order; the first `problem` ends them. */
export interface Verification {
  readonly status: "ok" | "damaged" | "missing"
  readonly checked: ReadonlyArray<string>
  readonly problem: string | null
}

/** The result of a check; a check that does not apply or cannot run is skipped. */
type Finding = { readonly problem: string | null } | "skipped"
const fine: Finding = { problem: null }
const wrong = (problem: string): Finding => ({ problem })

type Check = (host: HostShape, file: HostPath, artifact: Artifact) => Effect.Effect<Finding, HostError>

const firstLine = (...texts: ReadonlyArray<string>) => texts.join("\n").trim().split("\n")[0] ?? ""

const size: Check = (host, file, { sizeBytes }) =>
  Effect.map(host.info(file), (info) =>
    info?.sizeBytes === sizeBytes ? fine : wrong(`it has ${info?.sizeBytes} bytes instead of ${sizeBytes}`)
  )

const sha256: Check = (host, file, artifact) =>
  Effect.map(host.sha256(file), (found) =>
    found === artifact.sha256 ? fine : wrong(`its SHA-256 is ${found} instead of ${artifact.sha256}`)
  )

const digestOfMember = 'tar --extract --to-stdout --file="$1" -- "$2" | "$3"'

/** The manifest that an OVA may have for its other files: `SHA256(disk.vmdk)= …`. */
const manifest: Check = (host, file, { format }) =>
  Effect.gen(function* () {
    if (format !== "ova") return "skipped"
    const tar = (...args: ReadonlyArray<string>) => host.run({ program: "tar", args })
    const listed = yield* tar("--list", `--file=${file}`)
    if (listed.exitCode !== 0)
      return wrong(`it is not an archive: ${firstLine(listed.stderr, listed.stdout)}`)
    const names = listed.stdout.split("\n")
    const name = names.find((one) => one.endsWith(".mf"))
    if (name === undefined) return "skipped"
    const { stdout } = yield* tar("--extract", "--to-stdout", `--file=${file}`, "--", name)
    for (const line of stdout.split(/\r?\n/).filter((one) => one.trim() !== "")) {
      const [, algorithm = "", member = "", digest = ""] =
        /^SHA(1|256|512) *\((.+)\) *= *([0-9a-fA-F]+) *$/.exec(line) ?? []
      if (member === "") return wrong(`its manifest ${name} has an invalid line: ${line}`)
      if (!names.includes(member)) return wrong(`${member} is missing, and its manifest ${name} lists it`)
      const found = yield* host.run({
        program: "sh",
        args: ["-c", digestOfMember, "sh", file, member, `sha${algorithm}sum`]
      })
      if (!found.stdout.startsWith(`${digest.toLowerCase()} `)) {
        return wrong(`${member} in it does not match its manifest ${name}`)
      }
    }
    return fine
  })

const qemuImg: Check = (host, file, { format }) =>
  Effect.gen(function* () {
    if (format !== "qcow2" && format !== "vmdk") return "skipped"
    const { exitCode, stderr, stdout } = yield* host.run({
      program: "qemu-img",
      args: ["check", "-U", "-f", format, file]
    })
    const said = firstLine(stderr, stdout)
    switch (exitCode) {
      case 0:
      // Leaked clusters waste space, but hold no data of the guest.
      case 3:
        return fine
      case 2:
        return wrong(`qemu-img reports that it is corrupt: ${said}`)
      case 1:
        // A VMDK may be one part of several.
        return format === "qcow2" ? wrong(`qemu-img cannot read it: ${said}`) : "skipped"
      default:
        return "skipped"
    }
  })

const checks: ReadonlyArray<readonly [string, Check]> = [
  ["size", size],
  ["sha256", sha256],
  ["manifest", manifest],
  ["qemu-img", qemuImg]
]

/** Checks the file of an artifact; checks whose program is missing are skipped. */
export const verify = (artifact: Artifact): Effect.Effect<Verification, HostError, Hosts> =>
  Effect.gen(function* () {
    const hosts = yield* Hosts
    // Artifacts are on this machine, wherever they were built.
    const host = yield* hosts.get({ host: "local" })
    const file = yield* Effect.catchIf(
      host.stage(artifact.path),
      ({ reason }) => reason === "not-found",
      () => Effect.succeed(undefined)
    )
    if (file === undefined || (yield* host.info(file)) === undefined) {
      return { status: "missing", checked: [], problem: `there is no ${artifact.path}` }
    }
    const checked: Array<string> = []
    for (const [name, check] of checks) {
      const finding = yield* check(host, file, artifact).pipe(
        Effect.catchIf(
          (error) => error.reason === "program-missing",
          () => Effect.succeed("skipped" as const)
        ),
        Effect.catchIf(
          (error) => error.reason === "not-permitted",
          ({ message }) => Effect.succeed(wrong(`it cannot be read: ${message}`))
        )
      )
      if (finding === "skipped") continue
      checked.push(name)
      if (finding.problem !== null) return { status: "damaged", checked, problem: finding.problem }
    }
    return { status: "ok", checked, problem: null }
  })

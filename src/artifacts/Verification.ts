/** Whether an artifact is still what was made, and whole. */
import * as Effect from "effect/Effect"
import type { Artifact } from "../domain/Artifact.js"
import type { HostPath } from "../domain/HostPath.js"
import { type HostError, type HostShape, Hosts } from "../hosts/Host.js"

/** `checked` is what was looked at, in order; what is wrong ends it, and is told by `problem`. */
export interface Verification {
  readonly status: "ok" | "damaged" | "missing"
  readonly checked: ReadonlyArray<string>
  readonly problem: string | null
}

/** What is wrong, or that nothing is; what cannot be looked at is passed over. */
type Finding = { readonly problem: string | null } | "passed over"
const fine: Finding = { problem: null }
const wrong = (problem: string): Finding => ({ problem })

type Check = (host: HostShape, file: HostPath, artifact: Artifact) => Effect.Effect<Finding, HostError>

const firstLine = (...texts: ReadonlyArray<string>) => texts.join("\n").trim().split("\n")[0] ?? ""

const size: Check = (host, file, { sizeBytes }) =>
  Effect.map(host.info(file), (info) =>
    info?.sizeBytes === sizeBytes
      ? fine
      : wrong(`it has ${info?.sizeBytes} bytes, and was made with ${sizeBytes}`)
  )

const sha256: Check = (host, file, artifact) =>
  Effect.map(host.sha256(file), (found) =>
    found === artifact.sha256 ? fine : wrong(`its SHA-256 is ${found}, and was ${artifact.sha256}`)
  )

const digestOfMember = 'tar --extract --to-stdout --file="$1" -- "$2" | "$3"'

/** `SHA256(disk.vmdk)= …`: the manifest that an OVA may have for its files, itself aside. */
const manifest: Check = (host, file, { format }) =>
  Effect.gen(function* () {
    if (format !== "ova") return "passed over"
    const tar = (...args: ReadonlyArray<string>) => host.run({ program: "tar", args })
    const listed = yield* tar("--list", `--file=${file}`)
    if (listed.exitCode !== 0) return wrong(`it is no archive: ${firstLine(listed.stderr, listed.stdout)}`)
    const names = listed.stdout.split("\n")
    const name = names.find((one) => one.endsWith(".mf"))
    if (name === undefined) return "passed over"
    const { stdout } = yield* tar("--extract", "--to-stdout", `--file=${file}`, "--", name)
    for (const line of stdout.split(/\r?\n/).filter((one) => one.trim() !== "")) {
      const [, algorithm = "", member = "", digest = ""] =
        /^SHA(1|256|512) *\((.+)\) *= *([0-9a-fA-F]+) *$/.exec(line) ?? []
      if (member === "") return wrong(`its manifest ${name} says what no manifest does: ${line}`)
      if (!names.includes(member)) return wrong(`${member} is not in it, though ${name} tells of it`)
      const found = yield* host.run({
        program: "sh",
        args: ["-c", digestOfMember, "sh", file, member, `sha${algorithm}sum`]
      })
      if (!found.stdout.startsWith(`${digest.toLowerCase()} `)) {
        return wrong(`${member} in it is not what ${name} says`)
      }
    }
    return fine
  })

const qemuImg: Check = (host, file, { format }) =>
  Effect.gen(function* () {
    if (format !== "qcow2" && format !== "vmdk") return "passed over"
    const { exitCode, stderr, stdout } = yield* host.run({
      program: "qemu-img",
      args: ["check", "-U", "-f", format, file]
    })
    const said = firstLine(stderr, stdout)
    switch (exitCode) {
      case 0:
      // What is lost of the disk's space holds nothing of the guest's.
      case 3:
        return fine
      case 2:
        return wrong(`qemu-img finds it corrupt: ${said}`)
      case 1:
        // A VMDK may be but a part of one.
        return format === "qcow2" ? wrong(`qemu-img cannot read it: ${said}`) : "passed over"
      default:
        return "passed over"
    }
  })

const checks: ReadonlyArray<readonly [string, Check]> = [
  ["size", size],
  ["sha256", sha256],
  ["manifest", manifest],
  ["qemu-img", qemuImg]
]

/** Looks at an artifact's file; a program that is not there to look with is done without. */
export const verify = (artifact: Artifact): Effect.Effect<Verification, HostError, Hosts> =>
  Effect.gen(function* () {
    const hosts = yield* Hosts
    // Artifacts are files of this machine, wherever they were made.
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
          () => Effect.succeed("passed over" as const)
        ),
        Effect.catchIf(
          (error) => error.reason === "not-permitted",
          ({ message }) => Effect.succeed(wrong(`it cannot be read: ${message}`))
        )
      )
      if (finding === "passed over") continue
      checked.push(name)
      if (finding.problem !== null) return { status: "damaged", checked, problem: finding.problem }
    }
    return { status: "ok", checked, problem: null }
  })

/** The programs that builds run. */
import * as Effect from "effect/Effect"
import { type Check, missing, ok, warning } from "../Doctor.js"
import type { HostError, HostShape } from "../Host.js"
import { Packer, type Version } from "../Packer.js"
import * as Versions from "../Packer/Version.js"

const timeoutSeconds = 10

const firstLine = (...texts: ReadonlyArray<string>) => texts.join("\n").trim().split("\n")[0] ?? ""

/** `…/github.com/hashicorp/qemu/packer-plugin-qemu_v1.1.5_x5.0_linux_amd64` is `github.com/hashicorp/qemu 1.1.5`. */
const pluginOf = (path: string): ReadonlyArray<string> => {
  const [, name, version] = /([^/]+\/[^/]+\/[^/]+)\/packer-plugin-[^/]+_v([^_/]+)_[^/]*$/.exec(path) ?? []
  return name === undefined || version === undefined ? [] : [`${name} ${version}`]
}

const plugins = (host: HostShape, version: Version): Effect.Effect<Check, HostError> =>
  Effect.gen(function* () {
    if (Versions.pluginsBundled(version)) {
      return ok("plugins", `bundled with Packer ${Versions.format(version)}`)
    }
    const { exitCode, stderr, stdout } = yield* host.run(
      { program: "packer", args: ["plugins", "installed"], env: { CHECKPOINT_DISABLE: "1" } },
      { timeoutSeconds }
    )
    const installed = stdout.split("\n").flatMap((line) => pluginOf(line.trim()))
    return exitCode === 0 && installed.length > 0
      ? ok("plugins", installed.join(", "))
      : warning(
          "plugins",
          exitCode === 0
            ? `none is installed, and Packer ${Versions.format(version)} brings none along`
            : `packer cannot list them: ${firstLine(stderr, stdout)}`,
          "`packer plugins install github.com/hashicorp/qemu`, or `packer init` with a template that names its plugins"
        )
  })

/** Packer and its plugins, of which nothing is known without it. */
export const packer = (host: HostShape): Effect.Effect<ReadonlyArray<Check>, HostError, Packer> =>
  Effect.gen(function* () {
    const { version } = yield* Packer
    const found = yield* Effect.either(version)
    if (found._tag === "Left") return [missing("packer", found.left.message, found.left.hint)]
    return [ok("packer", Versions.format(found.right)), yield* plugins(host, found.right)]
  })

/** A program that is there and says its version. */
const saysVersion = (
  host: HostShape,
  name: string,
  otherwise: (name: string, detail: string, hint: string) => Check,
  hint: string
): Effect.Effect<Check, HostError> =>
  host.run({ program: name, args: ["--version"] }, { timeoutSeconds }).pipe(
    Effect.map(({ exitCode, stderr, stdout }) =>
      exitCode === 0
        ? ok(name, firstLine(stdout))
        : otherwise(name, `it ends with exit code ${exitCode}: ${firstLine(stderr, stdout)}`, hint)
    ),
    Effect.catchAll((error) => Effect.succeed(otherwise(name, error.message, hint)))
  )

export const qemuImg = (host: HostShape) =>
  saysVersion(
    host,
    "qemu-img",
    missing,
    "it tells formats and converts images: `sudo apt-get install qemu-utils` (Debian)"
  )

export const qemu = (host: HostShape) =>
  saysVersion(
    host,
    "qemu-system-x86_64",
    warning,
    "templates with a qemu builder need it: `sudo apt-get install qemu-system-x86` (Debian)"
  )

/** A program that is on the PATH. */
const onPath = (
  host: HostShape,
  name: string,
  otherwise: (name: string, detail: string, hint: string) => Check,
  hint: string
): Effect.Effect<Check, HostError> =>
  host.run({ program: "sh", args: ["-c", 'command -v "$1"', "sh", name] }, { timeoutSeconds }).pipe(
    Effect.map(({ exitCode, stdout }) =>
      exitCode === 0 ? ok(name, firstLine(stdout)) : otherwise(name, `${name} is not on the PATH`, hint)
    )
  )

export const flock = (host: HostShape) =>
  onPath(
    host,
    "flock",
    warning,
    "profiles that prepare something need it: `sudo apt-get install util-linux` (Debian)"
  )

export const ssh = (host: HostShape) =>
  onPath(
    host,
    "ssh",
    warning,
    "build machines are reached by it: `sudo apt-get install openssh-client` (Debian)"
  )

/** Checks whether this machine has what builds need, and says what to do about what is missing. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Check, missing, type Otherwise, ok, warning } from "../domain/Check.js"
import { installHint, notOnPath } from "../domain/Programs.js"
import { type Command, Host, type HostShape, type Hosts } from "../hosts/Host.js"
import { Packer } from "../packer/Packer.js"
import * as Version from "../packer/wire/Version.js"
import { Settings } from "../settings/Settings.js"
import { Timing } from "../settings/Timing.js"
import * as HostChecks from "./HostChecks.js"

/**
 * Runs all checks at once; each has a time limit. It creates nothing. An existing database is opened and migrated, as every
 * command does.
 * @category services
 */
export class Doctor extends Context.Tag("sandboxer/Doctor")<
  Doctor,
  { readonly examine: Effect.Effect<ReadonlyArray<Check>> }
>() {}

/**
 * The checks that take more than one call of a program.
 * @category services
 */
export class Machine extends Context.Tag("sandboxer/Doctor/Machine")<
  Machine,
  {
    /** Whether a guest boots under KVM. */
    readonly kvm: Effect.Effect<Check>
    /** The state directory, its database, and the disk under them. */
    readonly state: Effect.Effect<ReadonlyArray<Check>>
  }
>() {}

const run = (host: HostShape, command: Command) =>
  Effect.flatMap(Timing, ({ doctor }) =>
    host.run(command, { timeoutSeconds: Duration.toSeconds(doctor.programTimeout) })
  )

const firstLine = (...texts: ReadonlyArray<string>) => texts.join("\n").trim().split("\n")[0] ?? ""

/** A program that prints its version. */
const version = (host: HostShape, name: string, otherwise: Otherwise, hint: string) =>
  run(host, { program: name, args: ["--version"] }).pipe(
    Effect.map(({ exitCode, stderr, stdout }) =>
      exitCode === 0
        ? ok(name, firstLine(stdout))
        : otherwise(name, `${name} --version ended with ${exitCode}: ${firstLine(stderr, stdout)}`, hint)
    ),
    Effect.catchAll(({ message }) => Effect.succeed(otherwise(name, message, hint)))
  )

/** A program on the PATH that need not print a version: not every flock does. */
const onPath = (host: HostShape, name: string, otherwise: Otherwise, hint: string) =>
  run(host, { program: "sh", args: ["-c", 'command -v "$1"', "sh", name] }).pipe(
    Effect.map(({ exitCode, stdout }) =>
      exitCode === 0 ? ok(name, firstLine(stdout)) : otherwise(name, `${name} is not on the PATH`, hint)
    ),
    Effect.catchAll(({ message }) => Effect.succeed(otherwise(name, message, hint)))
  )

/** `…/github.com/hashicorp/qemu/packer-plugin-qemu_v1.1.5_x5.0_linux_amd64` is `github.com/hashicorp/qemu 1.1.5`. */
const pluginOf = (path: string): ReadonlyArray<string> => {
  const [, name, release] = /([^/]+\/[^/]+\/[^/]+)\/packer-plugin-[^/]+_v([^_/]+)_[^/]*$/.exec(path) ?? []
  return name === undefined || release === undefined ? [] : [`${name} ${release}`]
}

const plugins = (host: HostShape, packerVersion: Version.Version): Effect.Effect<Check> => {
  const release = `Packer ${Version.format(packerVersion)}`
  if (Version.pluginsBundled(packerVersion)) {
    return Effect.succeed(ok("plugins", `those that are part of ${release}`))
  }
  const hint =
    "`packer plugins install github.com/hashicorp/qemu`, or `packer init` with a template that names its plugins"
  const listing = { program: "packer", args: ["plugins", "installed"], env: { CHECKPOINT_DISABLE: "1" } }
  return run(host, listing).pipe(
    Effect.map(({ exitCode, stderr, stdout }) => {
      const installed = stdout.split("\n").flatMap((line) => pluginOf(line.trim()))
      if (exitCode !== 0)
        return warning("plugins", `packer cannot list them: ${firstLine(stderr, stdout)}`, hint)
      return installed.length > 0
        ? ok("plugins", installed.join(", "))
        : warning("plugins", `none is installed, and ${release} has none of its own`, hint)
    }),
    Effect.catchAll(({ message }) => Effect.succeed(warning("plugins", message, hint)))
  )
}

/** Packer and its plugins, which only Packer can list. */
const packer = Effect.gen(function* () {
  const host = yield* Host
  const found = yield* Effect.either((yield* Packer).version)
  return found._tag === "Left"
    ? [missing("packer", found.left.message, found.left.hint)]
    : [ok("packer", Version.format(found.right)), yield* plugins(host, found.right)]
})

/** A host from the configuration, as one check; `host check` shows a check for each thing that it needs. */
const configured = (name: string): Effect.Effect<Check, never, Hosts> =>
  HostChecks.check({ host: name }).pipe(
    Effect.map((checks) => {
      const lacking = checks.flatMap((check) => (check.status === "missing" ? [check.name] : []))
      return lacking.length === 0
        ? ok(`hosts.${name}`, `${checks[0]?.detail ?? name}; it has all that is needed`)
        : warning(`hosts.${name}`, notOnPath(lacking, name), installHint(lacking))
    }),
    Effect.catchAll((error) =>
      Effect.succeed(
        warning(`hosts.${name}`, error.message, `${error.hint}; \`sandboxer host check ${name}\` shows more`)
      )
    )
  )

const examine = Effect.gen(function* () {
  const host = yield* Host
  const machine = yield* Machine
  const { hosts, sources } = yield* Settings
  const checks = yield* Effect.all(
    [
      packer,
      version(
        host,
        "qemu-img",
        missing,
        "it examines and converts images: `sudo apt-get install qemu-utils` (Debian)"
      ),
      version(
        host,
        "qemu-system-x86_64",
        warning,
        "templates with a qemu builder need it: `sudo apt-get install qemu-system-x86` (Debian)"
      ),
      machine.kvm,
      onPath(host, "sh", missing, "it starts every Job: put the system's folders on the PATH"),
      onPath(
        host,
        "flock",
        warning,
        "profiles with `prepare` need it: `sudo apt-get install util-linux` (Debian)"
      ),
      onPath(
        host,
        "ssh",
        warning,
        "it connects to build machines: `sudo apt-get install openssh-client` (Debian)"
      ),
      onPath(
        host,
        "rsync",
        warning,
        "it copies files to build machines: `sudo apt-get install rsync` (Debian)"
      ),
      machine.state,
      Effect.forEach(
        Object.keys(hosts).filter((name) => name !== host.name),
        configured,
        { concurrency: 8 }
      )
    ],
    { concurrency: "unbounded" }
  )
  const settings = sources.map(({ from, key, value }) => ok(`settings.${key}`, `${value} (${from})`))
  return [...checks.flat(), ...settings]
})

/** @category layers */
export const layer: Layer.Layer<Doctor, never, Host | Hosts | Machine | Packer | Settings> = Layer.effect(
  Doctor,
  Effect.map(Effect.context<Host | Hosts | Machine | Packer | Settings>(), (services) => ({
    examine: Effect.provide(examine, services)
  }))
)

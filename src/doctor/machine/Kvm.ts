/** Checks whether guests run under KVM. The device may exist and still not work, so a small guest is booted. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Check, ok, warning } from "../../domain/Check.js"
import type { HostError, HostShape } from "../../hosts/Host.js"
import { Timing } from "../../settings/Timing.js"
import { bootedExitCode, bootSector } from "./bootSector.js"

/**
 * `SECONDS ACCELERATOR BOOT_SECTOR`. The disk's name is removed before QEMU starts, and timeout(1) ends QEMU even if this
 * program was killed: nothing is left behind.
 */
const script = `
disk=$(mktemp) && printf "$3" >"$disk" && exec 3<>"$disk" && rm "$disk" || exit 1
exec timeout "$1" qemu-system-x86_64 -accel "$2" -m 16 -display none -nodefaults -no-reboot \\
  -device isa-debug-exit,iobase=0xf4,iosize=0x04 -drive file=/dev/fd/3,format=raw
`

const octal = Array.from(bootSector, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")

/** Boots a guest of 512 bytes. If it does not boot, `said` is the message of QEMU or of the shell. */
export const boot = (
  host: HostShape,
  accelerator: "kvm" | "tcg"
): Effect.Effect<{ readonly booted: boolean; readonly said: string | undefined }, HostError> =>
  Effect.map(
    Effect.flatMap(Timing, ({ doctor: { bootGrace, bootTimeout } }) =>
      host.run(
        {
          program: "sh",
          args: ["-c", script, "sh", String(Duration.toSeconds(bootTimeout)), accelerator, octal]
        },
        // A QEMU that is stuck in the kernel ignores SIGTERM from timeout(1).
        { timeoutSeconds: Duration.toSeconds(Duration.sum(bootTimeout, bootGrace)) }
      )
    ),
    ({ exitCode, stderr }) => ({
      booted: exitCode === bootedExitCode,
      said: stderr
        .split("\n")
        .find((line) => line !== "" && !/^\S+: (warning: |terminating on signal)/.test(line))
    })
  )

const device = `
command -v qemu-system-x86_64 >/dev/null || { echo no-qemu; exit; }
[ -e /dev/kvm ] || { echo absent; exit; }
[ -r /dev/kvm ] && [ -w /dev/kvm ] && echo usable || echo denied
`

const slowly = "until then builds run slowly, under tcg"

const look = Effect.fn(function* (host: HostShape) {
  const seconds = Duration.toSeconds((yield* Timing).doctor.bootTimeout)
  const { stdout } = yield* host.run({ program: "sh", args: ["-c", device] }, { timeoutSeconds: seconds })
  switch (stdout.trim()) {
    case "no-qemu":
      return warning("kvm", "not checked: there is no qemu-system-x86_64", "install that first")
    case "absent":
      return warning(
        "kvm",
        "there is no /dev/kvm",
        `enable virtualisation in the firmware, or nested virtualisation if this machine is a guest; ${slowly}`
      )
    case "denied":
      return warning(
        "kvm",
        "/dev/kvm exists, but you may not use it",
        `\`sudo usermod -aG kvm "$USER"\`, then log in again; ${slowly}`
      )
  }
  const [took, { booted, said }] = yield* Effect.timed(boot(host, "kvm"))
  return booted
    ? ok("kvm", `a guest boots in ${Duration.toSeconds(took).toFixed(1)} s`)
    : warning(
        "kvm",
        `/dev/kvm opens, but no guest boots ${said === undefined ? `within ${seconds} s` : `(${said})`}`,
        'set the accelerator of the template to "tcg": a qemu builder uses kvm if /dev/kvm opens'
      )
})

export const kvm = (host: HostShape): Effect.Effect<Check> =>
  Effect.catchAll(look(host), ({ hint, message }) =>
    Effect.succeed(warning("kvm", `unknown: ${message}`, hint))
  )

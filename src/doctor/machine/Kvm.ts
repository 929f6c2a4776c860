/** Whether guests run under KVM: it may be there and yet be useless, which only a guest that boots can tell. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Check, ok, warning } from "../../domain/Check.js"
import type { HostError, HostShape } from "../../hosts/Host.js"
import { bootedExitCode, bootSector } from "./bootSector.js"

const seconds = 5

// The disk has no name any more when QEMU starts, and QEMU is ended even if nobody is there to end it: nothing is left.
const script = `
disk=$(mktemp) && printf "$2" >"$disk" && exec 3<>"$disk" && rm "$disk" || exit 1
exec timeout ${seconds} qemu-system-x86_64 -accel "$1" -m 16 -display none -nodefaults -no-reboot \\
  -device isa-debug-exit,iobase=0xf4,iosize=0x04 -drive file=/dev/fd/3,format=raw
`

const octal = Array.from(bootSector, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")

/** Boots a guest of 512 bytes; where it does not boot, `said` is what QEMU or the shell said about it. */
export const boot = (
  host: HostShape,
  accelerator: "kvm" | "tcg"
): Effect.Effect<{ readonly booted: boolean; readonly said: string | undefined }, HostError> =>
  Effect.map(
    host.run(
      { program: "sh", args: ["-c", script, "sh", accelerator, octal] },
      // A QEMU that is stuck in the kernel does not end when `timeout` tells it to.
      { timeoutSeconds: seconds + 3 }
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

const slowly = "until then builds run under tcg, slowly"

const look = Effect.fn(function* (host: HostShape) {
  const { stdout } = yield* host.run({ program: "sh", args: ["-c", device] }, { timeoutSeconds: seconds })
  switch (stdout.trim()) {
    case "no-qemu":
      return warning("kvm", "not tried: there is no qemu-system-x86_64 to try it with", "install that first")
    case "absent":
      return warning(
        "kvm",
        "there is no /dev/kvm",
        `enable virtualisation in the firmware, or nested virtualisation where this machine is a guest; ${slowly}`
      )
    case "denied":
      return warning(
        "kvm",
        "/dev/kvm is there, but you may not use it",
        `\`sudo usermod -aG kvm "$USER"\`, then log in again; ${slowly}`
      )
  }
  const [took, { booted, said }] = yield* Effect.timed(boot(host, "kvm"))
  return booted
    ? ok("kvm", `a guest boots, in ${Duration.toSeconds(took).toFixed(1)} s`)
    : warning(
        "kvm",
        `/dev/kvm opens, but no guest boots ${said === undefined ? `within ${seconds} s` : `(${said})`}`,
        'have the template set its accelerator to "tcg": a qemu builder takes kvm where /dev/kvm opens'
      )
})

export const kvm = (host: HostShape): Effect.Effect<Check> =>
  Effect.catchAll(look(host), ({ hint, message }) =>
    Effect.succeed(warning("kvm", `not known: ${message}`, hint))
  )

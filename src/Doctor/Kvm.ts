/** Whether guests run under KVM: it may be there and yet be useless, which only a guest that boots can tell. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Check, ok, warning } from "../Doctor.js"
import type { HostError, HostShape } from "../Host.js"
import { bootedExitCode, bootSector } from "./bootSector.js"

const seconds = 5

// The disk has no name any more when QEMU starts, which ends after the time even if nobody is there to stop it.
const script = `
disk=$(mktemp) && printf "$2" >"$disk" && exec 3<>"$disk" && rm "$disk" || exit 1
exec timeout ${seconds} qemu-system-x86_64 -accel "$1" -m 16 -display none -nodefaults -no-reboot \\
  -device isa-debug-exit,iobase=0xf4,iosize=0x04 -drive file=/dev/fd/3,format=raw
`

const octal = Array.from(bootSector, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")

/** Boots a guest of 512 bytes; where it does not boot, `said` is what QEMU said about it. */
export const boot = (
  host: HostShape,
  accelerator: "kvm" | "tcg"
): Effect.Effect<{ readonly booted: boolean; readonly said: string | undefined }, HostError> =>
  Effect.map(
    host.run(
      { program: "sh", args: ["-c", script, "sh", accelerator, octal] },
      // In case `timeout` does not do it: a virtual CPU that is stuck in the kernel.
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
[ -e /dev/kvm ] || { echo absent; exit; }
[ -r /dev/kvm ] && [ -w /dev/kvm ] && echo usable || echo denied
`

const slowly = "until then builds run under tcg, slowly"

export const kvm = (host: HostShape): Effect.Effect<Check, HostError> =>
  Effect.gen(function* () {
    const { stdout } = yield* host.run({ program: "sh", args: ["-c", device] }, { timeoutSeconds: seconds })
    switch (stdout.trim()) {
      case "absent":
        return warning(
          "kvm",
          "there is no /dev/kvm",
          `enable virtualisation in the firmware, or nested virtualisation where this machine is a guest; ${slowly}`
        )
      case "denied":
        return warning(
          "kvm",
          "/dev/kvm is there, but not for you",
          `\`sudo usermod -aG kvm "$USER"\`, then log in again; ${slowly}`
        )
    }
    const [took, { booted, said }] = yield* Effect.timed(boot(host, "kvm"))
    return booted
      ? ok("kvm", `a guest boots, in ${Duration.toSeconds(took).toFixed(1)} s`)
      : warning(
          "kvm",
          `/dev/kvm opens, but no guest boots: ${said ?? `nothing happens within ${seconds} s`}`,
          'have templates say `accelerator = "tcg"`: Packer takes kvm where /dev/kvm opens'
        )
  })

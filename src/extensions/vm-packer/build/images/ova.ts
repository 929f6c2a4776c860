/** Packs the disks of a machine as an OVA: a tar of its descriptor, its disks and a manifest of their digests. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ProvisionError } from "../../../../domain/Failure.js"
import { basename, dirname, type HostPath, HostPathFromString, join } from "../../../../domain/HostPath.js"
import { Host } from "../../../../hosts/Host.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { runJob } from "../../../../recipe/RunJob.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { Hardware } from "../template/hardware.js"
import { type Content, capacityOf, convert } from "./disks.js"
import { descriptor } from "./ovf.js"

/**
 * Makes OVA from the files that the arguments after END name for `tar`, and adds MANIFEST, a file of the working
 * directory. Each byte is read once: the output of tar goes to the OVA and to a second tar, which passes each file to
 * sha256sum. So the manifest comes last, as the standard allows; it replaces the end marks of the first tar, at offset
 * END. The OVA is renamed into place when it is complete.
 */
const script = `
set -eu
ova=$1 manifest=$2 format=$3 end=$4
shift 4
pack() {
  tar --create --file=- --format="$format" --owner=0 --group=0 --numeric-owner --mode=0644 "$@"
}
rm -f packed kept
{ pack --blocking-factor=256 "$@" && : >packed; } |
  { tee "$ova.part" && : >kept; } |
  tar --extract --blocking-factor=256 --file=- \\
    --to-command='digest=$(sha256sum) && printf "SHA256(%s)= %s\\n" "$TAR_FILENAME" "\${digest%% *}"' >"$manifest"
[ -e packed ]
[ -e kept ]
truncate --size="$end" "$ova.part"
pack "$manifest" >>"$ova.part"
mv "$ova.part" "$ova"
`

const Written = Schema.Struct({ file: HostPathFromString, sizeBytes: Schema.Number })

/** The limit of USTAR, the standard's format. Readers of OVAs also know GNU's format, which has larger sizes. */
const largestUstarFile = 8 * 1024 ** 3

/** The size of a file in a tar: a header, and the content in whole blocks. */
const sizeInTar = (sizeBytes: number) => 512 + Math.ceil(sizeBytes / 512) * 512

/** Options of a VMDK that importers accept: it can be read as a stream, and is for other controllers than IDE. */
const vmdkOptions = ["subformat=streamOptimized", "adapter_type=lsilogic", "compat6"]

/**
 * Makes an OVA of disks in this order. The keys of its Jobs begin with `key`, the names of its files with `vmName`; the
 * machine is called `name`.
 */
export const makeOva = Effect.fn(function* (options: {
  readonly key: string
  readonly vmName: string
  readonly name: string
  readonly hardware: Hardware
  readonly disks: ReadonlyArray<{ readonly file: HostPath; readonly content: Content }>
}) {
  const { disks, hardware, key, name, vmName } = options
  const host = yield* Host
  const reporter = yield* Reporter
  const steps = yield* Steps
  const converted = yield* Effect.forEach(disks, (disk, index) =>
    Effect.gen(function* () {
      const file = `${vmName}-disk${index + 1}.vmdk`
      const target = { name: file, format: "vmdk", options: vmdkOptions }
      const vmdk = yield* convert(`${key}-disk${index + 1}`, disk, target)
      const sizeBytes = (yield* host.info(vmdk))?.sizeBytes ?? 0
      return { name: file, file: vmdk, sizeBytes, capacityBytes: yield* capacityOf(vmdk) }
    })
  )
  const text = descriptor({ name, hardware, disks: converted })
  const described = yield* steps.step(
    `${key}-descriptor`,
    Written,
    Effect.gen(function* () {
      const folder = join(steps.folder, `${key}-descriptor`)
      const file = join(folder, `${vmName}.ovf`)
      yield* host.makeSubfolder(folder)
      yield* host.write(file, text)
      return { file, sizeBytes: new TextEncoder().encode(text).length }
    })
  )
  const files = [described, ...converted]
  return yield* steps.job(
    key,
    { schema: HostPathFromString, stop: "group" },
    Effect.fn(function* (job) {
      const ova = join(job.folder, "image.ova")
      const exitCode = yield* runJob(job, {
        program: "sh",
        args: [
          "-c",
          script,
          "ova",
          ova,
          `${vmName}.mf`,
          files.some(({ sizeBytes }) => sizeBytes >= largestUstarFile) ? "gnu" : "ustar",
          String(files.reduce((end, { sizeBytes }) => end + sizeInTar(sizeBytes), 0)),
          ...files.flatMap(({ file }) => ["-C", dirname(file), basename(file)])
        ],
        stop: "group"
      })
      if (exitCode === 0) return ova
      return yield* new ProvisionError({
        reason: "build-failed",
        message: `the OVA of ${name} cannot be packed: exit code ${exitCode}`,
        hint: "see the last lines of the log",
        logTail: yield* reporter.tail
      })
    })
  )
})

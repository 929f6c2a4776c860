/** Recognises the files of a build by their content, and converts disks. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ProvisionError } from "../../../../domain/Failure.js"
import { basename, type HostPath, HostPathFromString, join } from "../../../../domain/HostPath.js"
import { Host } from "../../../../hosts/Host.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { runJob } from "../../../../recipe/RunJob.js"
import { Steps } from "../../../../recipe/Steps.js"

/**
 * The content of a file. `driver` is qemu-img's name of its format, `format` the usual one: the same, except that `raw` is
 * replaced by `ova` or the extension of the file. `extents` are all files of a VMDK; `backing` is the file that a disk
 * stores its differences to.
 */
export interface Content {
  readonly kind: "disk" | "ova" | "other"
  readonly driver: string
  readonly format: string
  readonly extents: ReadonlyArray<string>
  readonly backing?: string
}

const Extents = Schema.Struct({
  extents: Schema.optional(Schema.Array(Schema.Struct({ filename: Schema.String })))
})
const QemuImgInfo = Schema.parseJson(
  Schema.Struct({
    format: Schema.String,
    "virtual-size": Schema.optional(Schema.Number),
    "backing-filename": Schema.optional(Schema.String),
    "format-specific": Schema.optional(Schema.Struct({ data: Schema.optional(Extents) }))
  })
)

/** `qemu-img info` of a file; undefined if there is no qemu-img, or it cannot read the file. */
const qemuImgInfo = Effect.fn(function* (file: HostPath) {
  const host = yield* Host
  const looked = yield* Effect.option(
    host.run({ program: "qemu-img", args: ["info", "--output=json", "-U", file] })
  )
  if (looked._tag === "None" || looked.value.exitCode !== 0) return undefined
  const info = yield* Effect.option(Schema.decode(QemuImgInfo)(looked.value.stdout))
  return info._tag === "Some" ? info.value : undefined
})

/** The extension of a file, if it looks like a format. */
const extension = (file: HostPath) => /\.([A-Za-z][A-Za-z0-9]{0,7})$/.exec(basename(file))?.[1]?.toLowerCase()

/** Prints the name of the first file of a tar, or an empty line; then how many of the first 512 bytes are not 0. */
const beginning = `
head -c 65536 "$1" | tar -tf - 2>/dev/null | head -n 1 | grep . || echo
head -c 512 "$1" | tr -d '\\000' | wc -c
`

/** Extensions of files that look like raw disks: firmware variables and optical discs. */
const notDisks = ["fd", "iso", "nvram"]

/**
 * Finds out what a file is. An OVA is a tar whose first file is a descriptor. qemu-img says `raw` for every file that it
 * does not know, so a raw disk needs more: it has whole sectors of 512 bytes, a zero byte in the first one (which a text
 * has not), is no tar, and does not have an extension of other files.
 */
export const look = Effect.fn(function* (file: HostPath, sizeBytes: number) {
  const host = yield* Host
  const info = yield* qemuImgInfo(file)
  if (info !== undefined && info.format !== "raw") {
    const extents = (info["format-specific"]?.data?.extents ?? []).map(({ filename }) => filename)
    const backing = info["backing-filename"]
    return {
      kind: "disk",
      driver: info.format,
      format: info.format,
      extents,
      ...(backing === undefined ? {} : { backing })
    } satisfies Content
  }
  const { stdout } = yield* host.run({ program: "sh", args: ["-c", beginning, "beginning", file] })
  const [first = "", nonZero = ""] = stdout.split("\n")
  const name = extension(file)
  const isOva = first.endsWith(".ovf")
  const isDisk =
    first === "" &&
    sizeBytes > 0 &&
    sizeBytes % 512 === 0 &&
    Number(nonZero) < 512 &&
    !notDisks.includes(name ?? "")
  return {
    kind: isOva ? "ova" : isDisk ? "disk" : "other",
    driver: "raw",
    format: isOva ? "ova" : (name ?? "raw"),
    extents: []
  } satisfies Content
})

/** The size of a disk as the machine sees it, in bytes. */
export const capacityOf = (file: HostPath) =>
  Effect.flatMap(qemuImgInfo(file), (info) =>
    info?.["virtual-size"] === undefined
      ? new ProvisionError({
          reason: "build-failed",
          message: `qemu-img cannot find out the size of ${file}`,
          hint: "run `qemu-img info` on the file"
        })
      : Effect.succeed(info["virtual-size"])
  )

/** Converts a disk to a file in the folder of a Job with this key; returns its path. */
export const convert = Effect.fn(function* (
  key: string,
  source: { readonly file: HostPath; readonly content: Content },
  target: { readonly name: string; readonly format: string; readonly options: ReadonlyArray<string> }
) {
  const host = yield* Host
  const reporter = yield* Reporter
  const steps = yield* Steps
  yield* reporter.phase("package")
  return yield* steps.job(
    key,
    { schema: HostPathFromString, stop: "group" },
    Effect.fn(function* (job) {
      const file = join(job.folder, target.name)
      const options = target.options.flatMap((option) => ["-o", option])
      const exitCode = yield* runJob(job, {
        program: "qemu-img",
        args: ["convert", "-f", source.content.driver, "-O", target.format, ...options, source.file, file],
        stop: "group"
      })
      if (exitCode === 0 && (yield* host.info(file)) !== undefined) return file
      return yield* new ProvisionError({
        reason: "build-failed",
        message: `qemu-img cannot convert ${source.file} to ${target.format}`,
        hint: "keep the image as it is built: -i format=as-built",
        logTail: yield* reporter.tail
      })
    })
  )
})

/** What the files really are that a build made, and turning a disk into another format. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ProvisionError } from "../../../../domain/Failure.js"
import { basename, type HostPath, HostPathFromString, join } from "../../../../domain/HostPath.js"
import { Host } from "../../../../hosts/Host.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { runJob } from "../../../../recipe/RunJob.js"
import { Steps } from "../../../../recipe/Steps.js"

/**
 * A file by its content. `driver` is qemu-img's word for it; `format` is what people call it: the same, but where that
 * is `raw` it is `ova`, or the ending of the file's name. `extents` are all files that a VMDK consists of, `backing` the
 * file that it says only the difference to.
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

/** What qemu-img says of a file; undefined where there is no qemu-img, or it cannot read the file. */
const qemuImgInfo = Effect.fn(function* (file: HostPath) {
  const host = yield* Host
  const looked = yield* Effect.option(
    host.run({ program: "qemu-img", args: ["info", "--output=json", "-U", file] })
  )
  if (looked._tag === "None" || looked.value.exitCode !== 0) return undefined
  const info = yield* Effect.option(Schema.decode(QemuImgInfo)(looked.value.stdout))
  return info._tag === "Some" ? info.value : undefined
})

/** The ending of a file's name, where it has one that looks like a format. */
const ending = (file: HostPath) => /\.([A-Za-z][A-Za-z0-9]{0,7})$/.exec(basename(file))?.[1]?.toLowerCase()

/** Prints the name of the first file in a tar, else an empty line; then how many of the first 512 bytes are not 0. */
const beginning = `
head -c 65536 "$1" | tar -tf - 2>/dev/null | head -n 1 | grep . || echo
head -c 512 "$1" | tr -d '\\000' | wc -c
`

/** What looks like a raw disk and is none: firmware's variables, and discs. */
const notDisks = ["fd", "iso", "nvram"]

/**
 * Tells what a file is. qemu-img says `raw` of all that it does not know, so that a raw disk is told by this: it is
 * whole sectors of 512 bytes, the first holds a zero byte (a text does not), and it is neither a tar nor called what
 * no disk is. An OVA is a tar whose first file is a descriptor.
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
  const name = ending(file)
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

/** What the machine sees of a disk, in bytes. */
export const capacityOf = (file: HostPath) =>
  Effect.flatMap(qemuImgInfo(file), (info) =>
    info?.["virtual-size"] === undefined
      ? new ProvisionError({
          reason: "build-failed",
          message: `qemu-img cannot tell the size of ${file}`,
          hint: "see what `qemu-img info` says of it"
        })
      : Effect.succeed(info["virtual-size"])
  )

/** Converts a disk, as a Job with this key, into a file of this name in the Job's folder. */
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
        hint: "keep it as it was built: -i format=as-built",
        logTail: yield* reporter.tail
      })
    })
  )
})

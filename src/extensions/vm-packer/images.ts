import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Artifacts } from "../../Artifacts.js"
import { Artifact } from "../../domain/Artifact.js"
import { ProvisionError } from "../../domain/Failure.js"
import { basename, type HostPath, HostPathFromString, join, resolve } from "../../domain/HostPath.js"
import { Host } from "../../Host.js"
import * as Jobs from "../../Jobs.js"
import type { Template } from "../../Packer.js"
import { Reporter } from "../../Reporter.js"
import { Steps } from "../../Steps.js"
import type { BuildPlan } from "./BuildPlan.js"
import type { Made, MadeFile } from "./template.js"

/** An image on the host, and what it is to be called. */
interface Image {
  readonly file: HostPath
  readonly name: string
  readonly format: string
  readonly primary: boolean
}

const QemuImgInfo = Schema.parseJson(Schema.Struct({ format: Schema.String }))

/** Post-processors whose files speak of an image and are none. */
const notImages = ["packer.post-processor.checksum", "packer.post-processor.manifest"]

/** The ending of a file's name, where it has one that looks like a format. */
const ending = (file: string) =>
  /\.([A-Za-z][A-Za-z0-9]{0,7})$/.exec(basename(file as HostPath))?.[1]?.toLowerCase()

/** What a file really is: qemu-img tells of disks; of what it does not know (`raw`) the name tells. */
const formatOf = Effect.fn(function* (file: HostPath) {
  const host = yield* Host
  const looked = yield* Effect.option(
    host.run({ program: "qemu-img", args: ["info", "--output=json", "-U", file] })
  )
  const info =
    looked._tag === "Some" && looked.value.exitCode === 0
      ? yield* Effect.option(Schema.decode(QemuImgInfo)(looked.value.stdout))
      : undefined
  const disk = info?._tag === "Some" ? info.value.format : "raw"
  return disk === "raw" ? (ending(file) ?? "raw") : disk
})

const safe = (name: string) => name.replaceAll(/[^A-Za-z0-9._-]/g, "-")

/** The name without its ending: with the build's where there are several, with a number where it made several. */
const stem = (plan: BuildPlan, files: ReadonlyArray<MadeFile>, { build, file }: MadeFile) => {
  const ofBuild = files.filter((other) => other.build === build)
  const several = new Set(files.map((other) => other.build)).size > 1
  const number = ofBuild.findIndex((other) => other.file === file) + 1
  return `${plan.vmName}${several ? `-${safe(build)}` : ""}${ofBuild.length > 1 ? `-disk${number}` : ""}`
}

const converted = Effect.fn(function* (file: HostPath, index: number) {
  const host = yield* Host
  const reporter = yield* Reporter
  const steps = yield* Steps
  yield* reporter.phase("package")
  return yield* steps.job(
    `convert-${index + 1}`,
    { schema: HostPathFromString, stop: "group" },
    Effect.fn(function* (job) {
      const target = join(job.folder, "image.qcow2")
      const exitCode = yield* Jobs.run(job, {
        program: "qemu-img",
        args: ["convert", "-O", "qcow2", file, target],
        stop: "group"
      })
      if (exitCode === 0 && (yield* host.info(target)) !== undefined) return target
      return yield* new ProvisionError({
        reason: "build-failed",
        message: `qemu-img cannot convert ${file} to qcow2`,
        hint: "keep it as it was built: -i format=as-built",
        logTail: yield* reporter.tail
      })
    })
  )
})

/** Finds the files that the builds made, and has them in the format that was asked for. */
export const collect = Effect.fn(function* (plan: BuildPlan, template: Template, made: Made) {
  const host = yield* Host
  const reporter = yield* Reporter
  yield* reporter.phase("collect")
  const files = made.files.filter(({ builderId }) => !notImages.includes(builderId))
  const missing = (message: string) =>
    new ProvisionError({
      reason: "no-artifact",
      message,
      hint: "see the log, and which files the template's builders and post-processors make and keep"
    })
  if (files.length === 0) return yield* missing("packer ended well, but made no file")
  const rank = ({ build }: MadeFile) =>
    made.builds.includes(build) ? made.builds.indexOf(build) : made.builds.length
  const ordered = files.toSorted((a, b) => rank(a) - rank(b))
  return yield* Effect.forEach(ordered, (one, index) =>
    Effect.gen(function* () {
      const file = resolve(template.folder, one.file)
      const info = yield* host.info(file)
      if (info?.type !== "file")
        return yield* missing(`packer says that it made ${one.file}, but no such file is there`)
      const built = yield* formatOf(file)
      const convert = plan.format === "qcow2" && built !== "qcow2"
      const image: Image = {
        file: convert ? yield* converted(file, index) : file,
        format: convert ? "qcow2" : built,
        name: `${stem(plan, ordered, one)}.${convert ? "qcow2" : built}`,
        primary: index === 0
      }
      return image
    })
  )
})

/** Publishes the images where they outlive the sandbox. */
export const record = Effect.fn(function* (plan: BuildPlan, images: ReadonlyArray<Image>) {
  const artifacts = yield* Artifacts
  const steps = yield* Steps
  return yield* steps.step(
    "record",
    Schema.Array(Artifact),
    artifacts.publish(
      images.map(({ file, ...image }) => ({ ...image, source: file })),
      plan.outputDirectory === null
        ? { folder: artifacts.defaultFolder(plan.vmName), replace: false }
        : { folder: plan.outputDirectory, replace: plan.force }
    )
  )
})

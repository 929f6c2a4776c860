import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Artifacts } from "../../../../artifacts/Artifacts.js"
import { Artifact } from "../../../../domain/Artifact.js"
import { ProvisionError } from "../../../../domain/Failure.js"
import { basename, dirname, type HostPath, resolve } from "../../../../domain/HostPath.js"
import { Host } from "../../../../hosts/Host.js"
import type { Template } from "../../../../packer/Packer.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { BuildPlan } from "../BuildPlan.js"
import { type Content, convert, look } from "../images/disks.js"
import { makeOva } from "../images/ova.js"
import { hardwareOf } from "../template/hardware.js"
import { type Made, type MadeFile, outputFolder } from "./runPacker.js"

/** An image on the host, and what it is to be called. */
interface Image {
  readonly file: HostPath
  readonly name: string
  readonly format: string
  readonly primary: boolean
}

/** Post-processors whose files speak of an image and are none. */
const notImages = ["packer.post-processor.checksum", "packer.post-processor.manifest"]

const safe = (name: string) => name.replaceAll(/[^A-Za-z0-9._-]/g, "-")

/** A file that a build made, found on the host: the first of all is number 1. */
interface Found {
  readonly number: number
  readonly build: string
  readonly file: HostPath
  readonly content: Content
}

/** What a build's images are called: with its name where several builds make some. */
const stem = ({ vmName }: BuildPlan, builds: ReadonlySet<string>, build: string) =>
  builds.size > 1 ? `${vmName}-${safe(build)}` : vmName

/** What images are called that these builds are to make, without what tells them from others of their build. */
export const stems = (plan: BuildPlan, builds: ReadonlyArray<string>) =>
  builds.map((build) => stem(plan, new Set(builds), build))

const stemOf = (name: string) => /^(.+?)(?:-disk\d+)?\.[A-Za-z0-9]+(?:\.sha256)?$/.exec(name)?.[1] ?? ""

/** With a number where the build made several. */
const numbered = (name: string, all: ReadonlyArray<unknown>, index: number) =>
  all.length > 1 ? `${name}-disk${index + 1}` : name

/** What nothing of a format is made of. qemu-img would take any file for a raw disk. */
const unusable: Readonly<Record<BuildPlan["format"], ReadonlyArray<Content["kind"]>>> = {
  "as-built": [],
  qcow2: ["ova"],
  ova: ["other"]
}

const noDisk = (build: string, files: ReadonlyArray<Found>, format: string) =>
  new ProvisionError({
    reason: "no-artifact",
    message: `build ${build} made ${files.map(({ file }) => basename(file)).join(", ")}, and no disk that could become ${format}`,
    hint: "keep what it makes: -i format=as-built"
  })

/** As they are, or each disk converted to qcow2: also one that says only the difference to another. */
const kept = (plan: BuildPlan, name: string, files: ReadonlyArray<Found>) =>
  Effect.forEach(files, ({ content, file, number }, index) =>
    Effect.gen(function* () {
      const reporter = yield* Reporter
      const own = numbered(name, files, index)
      const whole = content.backing === undefined
      if (plan.format !== "qcow2" || (content.format === "qcow2" && whole) || content.kind === "ova") {
        if (!whole) {
          yield* reporter.warning(
            `backing/${own}`,
            `${own}.${content.format} needs ${content.backing} beside it: with format qcow2 or ova it is whole`
          )
        }
        return { file, name: `${own}.${content.format}`, format: content.format }
      }
      const target = { name: "image.qcow2", format: "qcow2", options: [] }
      const made = yield* convert(`convert-${number}`, { file, content }, target)
      return { file: made, name: `${own}.qcow2`, format: "qcow2" }
    })
  )

/** One OVA of all disks, with the hardware that its build is told to have; an OVA that is there is kept as it is. */
const asOva = Effect.fn(function* (
  plan: BuildPlan,
  { build, key, name }: { readonly key: string; readonly name: string; readonly build: string },
  files: ReadonlyArray<Found>
) {
  const reporter = yield* Reporter
  const of = (kind: Content["kind"]) => files.filter(({ content }) => content.kind === kind)
  const [made, disks] = [of("ova"), of("disk")]
  const others = made.length > 0 ? [...disks, ...of("other")] : of("other")
  if (others.length > 0) {
    const names = others.map(({ file }) => basename(file)).join(", ")
    yield* reporter.note(`left-out/${build}`, `not kept, as it is no part of ${name}.ova: ${names}`)
  }
  if (made.length > 0) {
    return made.map(({ file }, index) => ({
      file,
      name: `${numbered(name, made, index)}.ova`,
      format: "ova"
    }))
  }
  const { assumed, hardware } = hardwareOf(plan.hardware, build)
  if (assumed.length > 0) {
    yield* reporter.warning(
      `hardware/${build}`,
      `${name}.ova says ${assumed.join(", ")}: neither the profile's \`hardware\` nor the template tells`
    )
  }
  const file = yield* makeOva({ key, vmName: plan.vmName, name, hardware, disks })
  return [{ file, name: `${name}.ova`, format: "ova" }]
})

/**
 * Fails where a file is a link that leads out of the folders that the build works in: what is there was not made by it,
 * and need not be for others to read.
 */
const refuseLinkOut = Effect.fn(function* (template: Template, named: string, file: HostPath) {
  const host = yield* Host
  const steps = yield* Steps
  const real = yield* host.realPath(file)
  for (const folder of [dirname(file), template.folder, outputFolder(steps.folder)]) {
    if ((yield* host.info(folder)) === undefined) continue
    const own = yield* host.realPath(folder)
    if (dirname(real) === own || real.startsWith(`${own}/`)) return
  }
  return yield* new ProvisionError({
    reason: "no-artifact",
    message: `packer says that it made ${named}, but that is a link out of its folder, to ${real}`,
    hint: "have the template make the file itself: what a link leads to is not published"
  })
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
  const looked = yield* Effect.forEach(ordered, (one, index) =>
    Effect.gen(function* () {
      const file = resolve(template.folder, one.file)
      const info = yield* host.info(file)
      if (info?.type !== "file")
        return yield* missing(`packer says that it made ${one.file}, but no such file is there`)
      yield* refuseLinkOut(template, one.file, file)
      const content = yield* look(file, info.sizeBytes)
      return { number: index + 1, build: one.build, file, content }
    })
  )
  // A VMDK may be several files, of which one tells of the others.
  const parts = looked.flatMap(({ content, file }) => content.extents.filter((extent) => extent !== file))
  const found = plan.format === "as-built" ? looked : looked.filter(({ file }) => !parts.includes(file))
  const builds = new Set(found.map((one) => one.build))
  const images = yield* Effect.forEach(builds, (build, index) =>
    Effect.gen(function* () {
      const own = found.filter((one) => one.build === build)
      const name = stem(plan, builds, build)
      if (own.every(({ content }) => unusable[plan.format].includes(content.kind))) {
        return yield* noDisk(build, own, plan.format)
      }
      return plan.format === "ova"
        ? yield* asOva(plan, { key: `ova-${index + 1}`, name, build }, own)
        : yield* kept(plan, name, own)
    })
  )
  return images.flat().map((image, index): Image => ({ ...image, primary: index === 0 }))
})

/**
 * Fails where an image so called could not be put in its place, before any time is spent on it. Journaled, since later
 * our own is there.
 */
export const refuseExisting = Effect.fn(function* (plan: BuildPlan, called: ReadonlyArray<string>) {
  const { force, outputDirectory } = plan
  if (outputDirectory === null || force) return
  const artifacts = yield* Artifacts
  const steps = yield* Steps
  const isTaken = Effect.gen(function* () {
    const names = yield* artifacts.names(outputDirectory)
    const taken = names.find((name) => called.includes(stemOf(name)))
    if (taken === undefined) return null
    return yield* new ProvisionError({
      reason: "output-exists",
      message: `${outputDirectory}/${taken} exists already`,
      hint: "choose another output_directory, or let it be replaced: -i force=true"
    })
  })
  yield* steps.step(`free/${called.join("/")}`, Schema.Null, isTaken)
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

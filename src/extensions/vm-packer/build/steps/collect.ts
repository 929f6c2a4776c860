import * as Effect from "effect/Effect"
import { ProvisionError } from "../../../../domain/Failure.js"
import { dirname, type HostPath, resolve } from "../../../../domain/HostPath.js"
import { Host } from "../../../../hosts/Host.js"
import type { Template } from "../../../../packer/Packer.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { BuildPlan } from "../BuildPlan.js"
import { look } from "../images/disks.js"
import { type Found, type Image, toFormat } from "../images/formats.js"
import { imageName } from "../images/names.js"
import type { Made, MadeFile } from "./runPacker.js"
import { outputFolder } from "./validate.js"

export interface CollectedImage extends Image {
  readonly primary: boolean
}

/** Post-processors whose files describe an image and are none. */
const notImages = ["packer.post-processor.checksum", "packer.post-processor.manifest"]

/**
 * Finds the files that the builds made, instead of trusting Packer's list, and converts them to the format that was
 * asked for. Returns the images, the primary one first.
 *
 * Not journaled: it only reads, and each conversion is a Job with a journal entry of its own. Converted files are in the
 * folders of these Jobs, and are removed with them.
 */
export const collect = Effect.fn(function* (plan: BuildPlan, template: Template, made: Made) {
  const host = yield* Host
  const reporter = yield* Reporter
  yield* reporter.phase("collect")
  const files = made.files.filter(({ builderId }) => !notImages.includes(builderId))
  const missing = (message: string) =>
    new ProvisionError({
      reason: "no-artifact",
      message,
      hint: "see the log for the files that the template's builders and post-processors make and keep"
    })
  if (files.length === 0) return yield* missing("packer exited with 0, but made no file")
  const rank = ({ build }: MadeFile) =>
    made.builds.includes(build) ? made.builds.indexOf(build) : made.builds.length
  const ordered = files.toSorted((a, b) => rank(a) - rank(b))
  const looked = yield* Effect.forEach(ordered, (one, index) =>
    Effect.gen(function* () {
      const file = resolve(template.folder, one.file)
      const info = yield* host.info(file)
      if (info?.type !== "file")
        return yield* missing(`packer reports the file ${one.file}, which does not exist`)
      yield* refuseLinkOut(template, one.file, file)
      const content = yield* look(file, info.sizeBytes)
      return { number: index + 1, build: one.build, file, content } satisfies Found
    })
  )
  // A VMDK may consist of several files, one of which names the others.
  const parts = looked.flatMap(({ content, file }) => content.extents.filter((extent) => extent !== file))
  const found = plan.format === "as-built" ? looked : looked.filter(({ file }) => !parts.includes(file))
  const builds = new Set(found.map((one) => one.build))
  const images = yield* Effect.forEach(builds, (build, index) =>
    toFormat(
      plan,
      { key: `ova-${index + 1}`, name: imageName(plan, builds, build), build },
      found.filter((one) => one.build === build)
    )
  )
  return images.flat().map((image, index): CollectedImage => ({ ...image, primary: index === 0 }))
})

/**
 * Fails if a file is a link that leads out of the folders that the build works in: the build did not make its target,
 * which others may have no right to read.
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
    message: `packer reports the file ${named}, which is a link out of its folder, to ${real}`,
    hint: "have the template make the file itself: targets of such links are not published"
  })
})

/** Turns the files of a build into images of the format that was asked for. */
import * as Effect from "effect/Effect"
import { ProvisionError } from "../../../../domain/Failure.js"
import { basename, type HostPath } from "../../../../domain/HostPath.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import type { BuildPlan } from "../BuildPlan.js"
import { hardwareOf } from "../template/hardware.js"
import { type Content, convert } from "./disks.js"
import { numbered } from "./names.js"
import { makeOva } from "./ova.js"

/** A file that a build made, found on the host. */
export interface Found {
  /** Position among the files of all builds, from 1. */
  readonly number: number
  readonly build: string
  readonly file: HostPath
  readonly content: Content
}

/** An image on the host, and the name that it gets. */
export interface Image {
  readonly file: HostPath
  readonly name: string
  readonly format: string
}

/** The images of one build, called `name`. `key` begins the keys of the Jobs that make an OVA. */
export const toFormat = Effect.fn(function* (
  plan: BuildPlan,
  own: { readonly key: string; readonly name: string; readonly build: string },
  files: ReadonlyArray<Found>
) {
  if (files.every(({ content }) => unusable[plan.format].includes(content.kind))) {
    return yield* new ProvisionError({
      reason: "no-artifact",
      message: `build ${own.build} made ${fileNames(files)}, and no disk that could become ${plan.format}`,
      hint: "keep the files as they are built: -i format=as-built"
    })
  }
  return plan.format === "ova" ? yield* asOva(plan, own, files) : yield* asDisks(plan, own.name, files)
})

/** Files that a format cannot be made from. Without this, qemu-img would take any file for a raw disk. */
const unusable: Readonly<Record<BuildPlan["format"], ReadonlyArray<Content["kind"]>>> = {
  "as-built": [],
  qcow2: ["ova"],
  ova: ["other"]
}

const fileNames = (files: ReadonlyArray<Found>) => files.map(({ file }) => basename(file)).join(", ")

/** As they are; or each disk as one qcow2 file, which needs no backing file. */
const asDisks = (plan: BuildPlan, name: string, files: ReadonlyArray<Found>) =>
  Effect.forEach(files, ({ content, file, number }, index) =>
    Effect.gen(function* () {
      const reporter = yield* Reporter
      const own = numbered(name, files, index)
      const whole = content.backing === undefined
      if (plan.format !== "qcow2" || (content.format === "qcow2" && whole) || content.kind === "ova") {
        if (!whole) {
          yield* reporter.warning(
            `backing/${own}`,
            `${own}.${content.format} needs its backing file ${content.backing}; format qcow2 or ova makes an image that does not`
          )
        }
        return { file, name: `${own}.${content.format}`, format: content.format }
      }
      const target = { name: "image.qcow2", format: "qcow2", options: [] }
      const made = yield* convert(`convert-${number}`, { file, content }, target)
      return { file: made, name: `${own}.qcow2`, format: "qcow2" }
    })
  )

/** One OVA of all disks, with the hardware of its build. If the build made an OVA itself, that one is kept as it is. */
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
    yield* reporter.note(`left-out/${build}`, `not part of ${name}.ova, so not kept: ${fileNames(others)}`)
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
      `${name}.ova has the default hardware ${assumed.join(", ")}: neither the profile's \`hardware\` nor the template sets it`
    )
  }
  const file = yield* makeOva({ key, vmName: plan.vmName, name, hardware, disks })
  return [{ file, name: `${name}.ova`, format: "ova" }]
})

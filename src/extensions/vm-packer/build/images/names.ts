/** What images are called: by the machine, by their build where several make some, and numbered where a build makes several. */
import type { BuildPlan } from "../BuildPlan.js"

const safe = (name: string) => name.replaceAll(/[^A-Za-z0-9._-]/g, "-")

/** The name of a build's images, without number and format; `builds` are all that make some. */
export const imageName = ({ vmName }: BuildPlan, builds: ReadonlySet<string>, build: string) =>
  builds.size > 1 ? `${vmName}-${safe(build)}` : vmName

/** The names of the images that these builds will make. */
export const imageNames = (plan: BuildPlan, builds: ReadonlyArray<string>) =>
  builds.map((build) => imageName(plan, new Set(builds), build))

/** The name of the image that a file belongs to; empty where the file cannot be one of an image. */
export const imageNameIn = (file: string) =>
  /^(.+?)(?:-disk\d+)?\.[A-Za-z0-9]+(?:\.sha256)?$/.exec(file)?.[1] ?? ""

/** The name of one of a build's images: with a number where the build made several. */
export const numbered = (name: string, all: ReadonlyArray<unknown>, index: number) =>
  all.length > 1 ? `${name}-disk${index + 1}` : name

import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import * as Wire from "./Wire.js"

/** A version of Packer; `prerelease` as in `1.16.0-dev`. */
export const Version = Schema.Struct({
  major: Schema.Int,
  minor: Schema.Int,
  patch: Schema.Int,
  prerelease: Schema.optionalWith(Schema.String, { exact: true })
})
export type Version = typeof Version.Type

/**
 * Reads the version from the output of `packer version -machine-readable`, `packer version` or `packer --version`, or
 * from a bare `1.6.6`; `undefined` if there is none, as another program may have the name `packer`.
 */
export const parse = (output: string): Version | undefined => {
  const records = output.split(/\r?\n/).map((line) => Wire.parse(line))
  const texts = records.map((record) =>
    record._tag === "Version" && record.part === "version"
      ? record.value
      : record._tag === "Ui" || record._tag === "Text"
        ? record.text
        : ""
  )
  const version = texts.map(parseLine).find((found) => found !== undefined)
  const prerelease = records.flatMap((record) =>
    record._tag === "Version" && record.part === "prerelease" && record.value !== "" ? [record.value] : []
  )[0]
  return version === undefined || prerelease === undefined ? version : { ...version, prerelease }
}

const parseLine = (line: string): Version | undefined => {
  const match = /^(?:Packer )?v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+\S+)?(?:\s|$)/.exec(line)
  const [, major, minor, patch, prerelease] = match ?? []
  return match === null
    ? undefined
    : {
        major: Number(major),
        minor: Number(minor),
        patch: Number(patch),
        ...(prerelease === undefined ? {} : { prerelease })
      }
}

/** Formats a version, as `1.16.0` or `1.16.0-dev`. */
export const format = ({ major, minor, patch, prerelease }: Version): string =>
  `${major}.${minor}.${patch}${prerelease === undefined ? "" : `-${prerelease}`}`

/** Orders versions from old to new; a prerelease is older than its release. */
export const compare: Order.Order<Version> = Order.combineAll([
  Order.mapInput(Order.number, (version) => version.major),
  Order.mapInput(Order.number, (version) => version.minor),
  Order.mapInput(Order.number, (version) => version.patch),
  Order.mapInput(Order.boolean, (version) => version.prerelease === undefined),
  Order.mapInput(Order.string, (version) => version.prerelease ?? "")
])

/** The oldest Packer that is supported. */
export const minimum: Version = { major: 1, minor: 6, patch: 0 }

const from =
  (major: number, minor: number, patch: number) =>
  (version: Version): boolean =>
    compare(version, { major, minor, patch }) >= 0

/** Whether it has `packer init` and `required_plugins` blocks, which are errors in older versions. */
export const hasInit = from(1, 7, 0)

/** Whether builders are part of Packer, so that no plugin has to be installed. */
export const pluginsBundled = (version: Version): boolean => !from(1, 10, 0)(version)

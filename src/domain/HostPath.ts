import * as Brand from "effect/Brand"
import * as Schema from "effect/Schema"

/**
 * An absolute path on a Host, which can be another machine: never pass it to this machine's file system. Only a `Host`
 * reads and writes it. `Host.put`, `Host.stage` and `Host.get` copy between it and a local path.
 */
export type HostPath = string & Brand.Brand<"HostPath">

export const HostPath = Brand.nominal<HostPath>()

/** @category schemas */
export const HostPathFromString: Schema.Schema<HostPath, string> = Schema.String.pipe(
  Schema.fromBrand(HostPath)
)

/** Appends segments to a path. Hosts are POSIX machines, so the separator is `/`. */
export const join = (base: HostPath, ...segments: ReadonlyArray<string>): HostPath =>
  HostPath([base.replace(/\/+$/, ""), ...segments].join("/"))

/** The last segment of a path. */
export const basename = (path: HostPath): string => path.replace(/\/+$/, "").split("/").at(-1) ?? ""

/** The folder that contains a path. */
export const dirname = (path: HostPath): HostPath =>
  HostPath(path.replace(/\/+$/, "").replace(/\/[^/]*$/, "") || "/")

/** `path` itself if it is absolute, else `path` relative to `base`. */
export const resolve = (base: HostPath, path: string): HostPath =>
  path.startsWith("/") ? HostPath(path) : join(base, path)

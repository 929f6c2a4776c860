import * as Brand from "effect/Brand"
import * as Schema from "effect/Schema"

/**
 * An absolute path on a Host, which need not be this machine: it is never given to this machine's file system. Only
 * a `Host` reads and writes it; `Host.put`, `Host.stage` and `Host.get` go between it and a local path.
 */
export type HostPath = string & Brand.Brand<"HostPath">

export const HostPath = Brand.nominal<HostPath>()

/** @category schemas */
export const HostPathFromString: Schema.Schema<HostPath, string> = Schema.String.pipe(
  Schema.fromBrand(HostPath)
)

/** Joins segments behind a path of the host; Hosts are POSIX machines, so the separator is `/`. */
export const join = (base: HostPath, ...segments: ReadonlyArray<string>): HostPath =>
  HostPath([base.replace(/\/+$/, ""), ...segments].join("/"))

/** The last segment of a path. */
export const basename = (path: HostPath): string => path.replace(/\/+$/, "").split("/").at(-1) ?? ""

/** The folder a path stands in. */
export const dirname = (path: HostPath): HostPath =>
  HostPath(path.replace(/\/+$/, "").replace(/\/[^/]*$/, "") || "/")

/** `path` itself where it is absolute, else `path` below `base`. */
export const resolve = (base: HostPath, path: string): HostPath =>
  path.startsWith("/") ? HostPath(path) : join(base, path)

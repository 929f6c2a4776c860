import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const rootOf = (folder: string): string =>
  existsSync(join(folder, "package.json")) || dirname(folder) === folder ? folder : rootOf(dirname(folder))

/**
 * The folder that this package is installed in, with its runbooks and documents. Works from the bundled command and from
 * this source file.
 */
export const packageRoot = (): string => rootOf(dirname(fileURLToPath(import.meta.url)))

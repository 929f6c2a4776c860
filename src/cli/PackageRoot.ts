/** Where this package is installed; its runbooks and documents lie there. */
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const rootOf = (folder: string): string =>
  existsSync(join(folder, "package.json")) || dirname(folder) === folder ? folder : rootOf(dirname(folder))

/** The package's root, seen from the bundled command and from this source file alike. */
export const installed = (): string => rootOf(dirname(fileURLToPath(import.meta.url)))

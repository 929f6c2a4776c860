/** Runs the bundled command (command.ts) from the code cache that V8 made at build time, which halves its start. */
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { Script } from "node:vm"

/**
 * Runs `command.cjs` next to the executable of the given URL. Returns its script, and the file of V8's code cache for it,
 * which another version of V8 ignores.
 */
export const launch = (executable: string): { readonly script: Script; readonly cache: string } => {
  const filename = fileURLToPath(new URL("command.cjs", executable))
  const cache = `${filename}.cache`
  const script = new Script(readFileSync(filename, "latin1"), {
    filename,
    ...(existsSync(cache) ? { cachedData: readFileSync(cache) } : {})
  })
  script.runInThisContext()(createRequire(executable), executable)
  return { script, cache }
}

/** Runs the command (src/command.ts, bundled) from what V8 made of it when it was built, which takes half the time. */
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { Script } from "node:vm"

const filename = fileURLToPath(new URL("command.cjs", import.meta.url))

/** What V8 made of the command: one of another version does without. */
export const compiled = `${filename}.cache`

/** Runs the command as the executable of the given URL; gives its script, which `compiled` can be made of. */
export const launch = (executable: string): Script => {
  const script = new Script(readFileSync(filename, "latin1"), {
    filename,
    ...(existsSync(compiled) ? { cachedData: readFileSync(compiled) } : {})
  })
  script.runInThisContext()(createRequire(executable), executable)
  return script
}

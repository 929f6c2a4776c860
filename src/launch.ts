/** Runs the command (src/command.ts, bundled) from what V8 made of it when it was built, which takes half the time. */
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import { Script } from "node:vm"

const filename = fileURLToPath(new URL("command.cjs", import.meta.url))

/** What V8 made of the command: one of another version, or with other flags, does without. */
export const compiled = `${filename}.cache`

/** Runs the command as the executable of the given URL; gives its script, which `compiled` can be made of. */
export const launch = (executable: string): Script => {
  // Of what is new V8 looks through one megabyte at a time to begin with: a dozen times before a command is at work, and
  // then through all there is.
  setFlagsFromString("--semi-space-growth-factor=16")
  const script = new Script(readFileSync(filename, "latin1"), {
    filename,
    ...(existsSync(compiled) ? { cachedData: readFileSync(compiled) } : {})
  })
  script.runInThisContext()(createRequire(executable), executable)
  return script
}

/**
 * Writes dist/command.cjs.cache: what V8 makes of the command, with all that a usual start needs. It runs one, which
 * ends at a machine that is not there: what V8 has not run it does not compile.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Script } from "node:vm"

const filename = fileURLToPath(new URL("../dist/command.cjs", import.meta.url))
const executable = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
const home = mkdtempSync(join(tmpdir(), "sandboxer-compile-"))
const inputs = [
  "host=127.0.0.1",
  "port=1",
  `project=${fileURLToPath(new URL("../examples", import.meta.url))}`
]

for (const name of Object.keys(process.env)) {
  if (/^(SANDBOXER_|STATE_HUB_|XDG_)/.test(name)) delete process.env[name]
}
process.env.SANDBOXER_HOME = home
process.env.HOME = home
process.argv = [
  process.execPath,
  executable,
  "create",
  "--profile=profile.vm-packer-attach",
  ...inputs.flatMap((input) => ["-i", input])
]
const script = new Script(readFileSync(filename, "latin1"), { filename })
script.runInThisContext()(createRequire(executable), pathToFileURL(executable).href)
process.on("exit", () => {
  writeFileSync(`${filename}.cache`, script.createCachedData())
  rmSync(home, { recursive: true, force: true })
  // Nobody is there, as it was to be.
  process.exitCode = 0
})

/**
 * Writes dist/command.cjs.cache: what V8 makes of the command, with all that a usual start needs. It runs one, which
 * ends at a machine that is not there: what V8 has not run it does not compile.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

/** @type {typeof import("../src/bin/launch.js")} */
const { launch } = await import(new URL("../dist/bin/launch.js", import.meta.url).href)
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
const { cache, script } = launch(pathToFileURL(executable).href)
process.on("exit", () => {
  writeFileSync(cache, script.createCachedData())
  rmSync(home, { recursive: true, force: true })
  // Nobody is there, as it was to be.
  process.exitCode = 0
})

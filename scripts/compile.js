/**
 * Writes dist/command.cjs.cache, V8's code cache of the command. V8 compiles only functions that have run, so this runs a
 * typical command first: an attach to a machine that does not answer.
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
  // The command fails, as intended: no machine answers.
  process.exitCode = 0
})

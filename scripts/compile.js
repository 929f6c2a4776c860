/** Writes dist/command.cjs.cache: what V8 makes of the command, with all that a usual start needs. */
import { readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Script } from "node:vm"

const filename = fileURLToPath(new URL("../dist/command.cjs", import.meta.url))
const executable = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
const script = new Script(readFileSync(filename, "latin1"), { filename })
process.argv = [process.execPath, executable, "--help"]
script.runInThisContext()(createRequire(executable), pathToFileURL(executable).href)
// By then its functions are compiled, too.
process.on("exit", () => writeFileSync(`${filename}.cache`, script.createCachedData()))

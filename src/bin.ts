#!/usr/bin/env node
/**
 * The executable: it runs the command (src/command.ts, bundled) from what V8 made of it when that was built, which takes
 * half the time. A V8 of another version does without.
 */
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { Script } from "node:vm"

const filename = fileURLToPath(new URL("command.cjs", import.meta.url))
const compiled = `${filename}.cache`
const script = new Script(readFileSync(filename, "latin1"), {
  filename,
  ...(existsSync(compiled) ? { cachedData: readFileSync(compiled) } : {})
})
script.runInThisContext()(createRequire(import.meta.url), import.meta.url)

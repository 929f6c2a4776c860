/**
 * Writes docs/state-hub.openapi.json as `dist/bin.js hub serve` serves it.
 *
 *   node scripts/generate-hub-docs.js [FILE]    FILE defaults to docs/state-hub.openapi.json
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "sandboxer-hub-docs-"))

const hub = spawn(process.execPath, [`${root}dist/bin.js`, "hub", "serve", "--port", "0"], {
  env: { ...process.env, SANDBOXER_HOME: folder, STATE_HUB_TOKEN: "" },
  stdio: ["ignore", "pipe", "ignore"]
})
const ended = once(hub, "exit")
try {
  const [url] = await Promise.race([once(hub.stdout.setEncoding("utf8"), "data"), ended])
  const document = await (await fetch(`${String(url).trim()}/openapi.json`)).json()
  writeFileSync(
    process.argv[2] ?? `${root}docs/state-hub.openapi.json`,
    `${JSON.stringify(document, null, 2)}\n`
  )
} finally {
  hub.kill("SIGTERM")
  await ended
  rmSync(folder, { recursive: true, force: true })
}

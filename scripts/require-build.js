/** Set-up of tests that run the built command: fails if dist/bin.js is older than src, because it would not test src. */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

export default function requireBuild() {
  const root = fileURLToPath(new URL("..", import.meta.url))
  const { status } = spawnSync("make", ["--question", "--silent", "dist/bin.js"], {
    cwd: root,
    stdio: "ignore"
  })
  if (status !== 0) throw new Error("dist/bin.js is missing or older than src: run `make build` first")
}

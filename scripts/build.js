/**
 * Builds dist/: the library, a module each, for those who import it (they bundle, or have Effect loaded already);
 * and the command as one file, dist/bin.js, because it starts about three times as fast so.
 */
import { execFileSync } from "node:child_process"
import { chmodSync, readFileSync, rmSync, statSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

process.chdir(fileURLToPath(new URL("..", import.meta.url)))

/** @param {string} message */
const fail = (message) => {
  process.stderr.write(`error: ${message}\n`)
  process.exit(1)
}

const { version } = JSON.parse(readFileSync("package.json", "utf8"))
if (!readFileSync("src/version.ts", "utf8").includes(`"${version}"`)) {
  fail(`src/version.ts and package.json (${version}) must name the same version`)
}

rmSync("dist", { recursive: true, force: true })

try {
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
    stdio: "inherit"
  })
} catch {
  fail("the library does not compile")
}

await build({
  entryPoints: ["src/bin.ts"],
  outfile: "dist/bin.js",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  // better-sqlite3 is native code beside a loader. The other two are what `ws` would use if they were there.
  external: ["better-sqlite3", "bufferutil", "utf-8-validate"],
  // Identifiers stay as they are written: stack traces are read.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  logLevel: "warning",
  // CommonJS packages in the bundle call `require`, which a module has not.
  banner: {
    js: '#!/usr/bin/env node\nimport { createRequire as sandboxerRequire } from "node:module";const require=sandboxerRequire(import.meta.url);'
  }
}).catch(() => process.exit(1))
chmodSync("dist/bin.js", 0o755)

process.stdout.write(`dist/bin.js ${version}: ${Math.round(statSync("dist/bin.js").size / 1024)} KiB\n`)

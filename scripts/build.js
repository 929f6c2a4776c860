/**
 * Builds dist/: the library, one file per module, for programs that import it; and the command as one bundled file,
 * dist/command.cjs, with V8's code cache, which makes it start about five times as fast. dist/bin.js runs the command.
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
if (!readFileSync("src/domain/version.ts", "utf8").includes(`"${version}"`)) {
  fail(`src/domain/version.ts and package.json (${version}) must name the same version`)
}

rmSync("dist", { recursive: true, force: true })

try {
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
    stdio: "inherit"
  })
} catch {
  fail("the library does not compile")
}

/** @type {import("esbuild").BuildOptions} */
const common = {
  platform: "node",
  target: "node20",
  // Keep identifiers, so that stack traces are readable.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  logLevel: "warning"
}
await Promise.all([
  build({ ...common, entryPoints: ["src/bin/bin.ts"], outfile: "dist/bin.js", bundle: true, format: "esm" }),
  build({
    ...common,
    entryPoints: ["src/bin/command.ts"],
    outfile: "dist/command.cjs",
    bundle: true,
    format: "cjs",
    // better-sqlite3 is native code. The other two are optional dependencies of `ws`.
    external: ["better-sqlite3", "bufferutil", "utf-8-validate"],
    // src/bin/bin.ts passes it in. The bundle is a script, because V8 does not cache the code of modules.
    define: { "import.meta.url": "executableUrl" },
    banner: { js: "(function (require, executableUrl) {" },
    footer: { js: "})" }
  })
]).catch(() => process.exit(1))
chmodSync("dist/bin.js", 0o755)
execFileSync(process.execPath, ["scripts/compile.js"], { stdio: "ignore" })

process.stdout.write(`dist/bin.js ${version}: ${Math.round(statSync("dist/command.cjs").size / 1024)} KiB\n`)

/**
 * Measures a second `make remote-build` of an unchanged project of 10,000 files beside the old way with rsync, and beside the
 * start of the command. The build machine is an sshd on loopback. Prints a Markdown table of medians.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import { Sshd } from "../support/sshd.js"

const runs = 7
const root = fileURLToPath(new URL("../..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "sandboxer-bench-"))
const project = join(folder, "project")

/** @type {(name: string, body: string) => void} */
const script = (name, body) => writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 })

for (const name of ["with", "without"]) mkdirSync(join(folder, name))
for (let index = 0; index < 10_000; index++) {
  const files = join(project, "src", String(index % 100))
  if (index < 100) mkdirSync(files, { recursive: true })
  writeFileSync(join(files, `${index}.hs`), `module M${index} where\n`)
}
const sshd = await Sshd.start()
const { host, identityFile, port, user } = sshd.connection
writeFileSync(join(folder, "Makefile"), `include ${join(root, "scripts/remote-build.mk")}\n`)
script("with/sandboxer", `exec '${process.execPath}' '${join(root, "dist/bin.js")}' "$@"`)
// The old way knows the host's key, as after a first login.
script("without/ssh", `exec /usr/bin/ssh -F none -o UserKnownHostsFile='${sshd.knownHostsFile}' "$@"`)

/**
 * Milliseconds that a build takes. A build that fails ends the benchmark.
 * @type {(way: "with" | "without", program: string, ...args: Array<string>) => number}
 */
const measure = (way, program, ...args) => {
  const from = performance.now()
  const { error, status, stderr } = spawnSync(program, args, {
    cwd: folder,
    env: {
      PATH: `${join(folder, way)}:/usr/bin:/bin`,
      HOME: folder,
      SANDBOXER_HOME: join(folder, "home"),
      PROJECT: project,
      BUILD_HOST: host,
      BUILD_PORT: String(port),
      BUILD_USER: user,
      BUILD_IDENTITY: identityFile,
      BUILD_COMMAND: "mkdir -p haskell-build; date >haskell-build/date",
      ...(way === "without" ? { BUILD_DIR: join(sshd.home, "old") } : {})
    },
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8"
  })
  const took = performance.now() - from
  if (status !== 0) throw error ?? new Error(`${program} ${args.join(" ")} failed:\n${stderr}`)
  return took
}

/** @type {(values: ReadonlyArray<number>) => number} */
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

try {
  const ours = () => measure("with", "make", "remote-build")
  const theirs = () => measure("without", "make", "remote-build")
  const start = () => measure("with", "sandboxer", "--version")
  const ways = [ours, theirs, start]
  // The first build sends everything and warms up.
  for (const way of ways) way()
  /** @type {Array<Array<number>>} */
  const times = [[], [], []]
  // In turns, so that other load affects both sides alike.
  for (let run = 0; run < runs; run++) {
    for (const [index, way] of ways.entries()) times[index]?.push(way())
  }
  const [a = Number.NaN, b = Number.NaN, c = Number.NaN] = times.map(median)
  process.stdout.write(
    "| what | ms | beside | ms | `sandboxer --version` | more than both | runs |\n|---|--:|---|--:|--:|--:|--:|\n"
  )
  process.stdout.write(
    `| second \`make remote-build\`, 10,000 files | ${a.toFixed(0)} | the old way, by rsync | ${b.toFixed(0)} | ${c.toFixed(0)} | ${(a - b - c).toFixed(0)} | ${runs} |\n`
  )
} finally {
  await sshd.dispose()
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
}

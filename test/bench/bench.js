/**
 * How long the command takes, beside a peer that is measured in the same run: machines differ, ratios less so.
 * Prints a table in Markdown; times are medians.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "sandboxer-bench-"))
const template = join(root, "test/data/twins/twin.json")
const node = process.execPath
// As sandboxer has it: Packer asks nobody whether there is a newer one.
const env = { ...process.env, SANDBOXER_HOME: join(folder, "home"), CHECKPOINT_DISABLE: "1" }

/** @typedef {readonly [program: string, ...args: Array<string>]} Command */

/** @type {(...args: Array<string>) => Command} */
const sandboxer = (...args) => [node, join(root, "dist/bin.js"), ...args]

/** @type {(run: number) => Command} */
const nothing = () => [node, "-e", "0"]

/**
 * `run` numbers the runs: no two have the same name or folder.
 * @type {ReadonlyArray<{
 *   readonly title: string
 *   readonly peer: string
 *   readonly runs: number
 *   readonly ours: (run: number) => Command
 *   readonly theirs: (run: number) => Command
 * }>}
 */
const rows = [
  {
    title: "`sandboxer --version`",
    peer: "`node -e 0`",
    runs: 15,
    ours: () => sandboxer("--version"),
    theirs: nothing
  },
  {
    title: "`sandboxer --help`",
    peer: "`node -e 0`",
    runs: 15,
    ours: () => sandboxer("--help"),
    theirs: nothing
  },
  {
    title: "`sandboxer list`",
    peer: "`node -e 0`",
    runs: 15,
    ours: () => sandboxer("list"),
    theirs: nothing
  },
  {
    title: "`sandboxer create`, no VM",
    peer: "`packer build`",
    runs: 7,
    ours: (run) =>
      sandboxer(
        "create",
        "--profile=profile.vm-packer-build",
        "-i",
        `packer_template=${template}`,
        "-i",
        "vm_name=bench",
        "-i",
        "format=as-built",
        `--name=bench-${run}`,
        "--progress=none",
        "-q"
      ),
    theirs: (run) => ["packer", "build", "-var", `output_directory=${join(folder, `out-${run}`)}`, template]
  }
]

/**
 * Milliseconds that a command takes; one that fails ends it all.
 * @type {(command: Command) => number}
 */
const measure = ([program, ...args]) => {
  const from = performance.now()
  const { error, status, stderr } = spawnSync(program, args, {
    cwd: folder,
    env,
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
  process.stdout.write(`Node ${process.versions.node}, ${availableParallelism()} processors\n\n`)
  process.stdout.write("| what | ms | beside | ms | ratio | runs |\n|---|--:|---|--:|--:|--:|\n")
  for (const { ours, peer, runs, theirs, title } of rows) {
    // Once to warm up: files come from the disk, and the database is made.
    measure(ours(-1))
    measure(theirs(-1))
    /** @type {Array<number>} */
    const own = []
    /** @type {Array<number>} */
    const other = []
    // By turns, so that what else the machine does meets both.
    for (let run = 0; run < runs; run++) {
      own.push(measure(ours(run)))
      other.push(measure(theirs(run)))
    }
    const [a, b] = [median(own), median(other)]
    const ratio = (a / b).toFixed(1)
    process.stdout.write(`| ${title} | ${a.toFixed(0)} | ${peer} | ${b.toFixed(0)} | ${ratio} | ${runs} |\n`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
}

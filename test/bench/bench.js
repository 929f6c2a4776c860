/**
 * Measures the command beside a peer in the same run: machines differ, ratios differ less. Attach mode is also compared with
 * the sum of its peer and `sandboxer --version`; its machine is an sshd on loopback. Prints a Markdown table of medians.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import { Sshd } from "../support/sshd.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "sandboxer-bench-"))
const template = join(root, "test/data/twins/twin.json")
const node = process.execPath
const sshd = await Sshd.start()
const { host, identityFile, port, user } = sshd.connection
// As sandboxer sets it: Packer does not look for a newer version.
const env = { ...process.env, SANDBOXER_HOME: join(folder, "home"), CHECKPOINT_DISABLE: "1" }

/** @typedef {readonly [program: string, ...args: Array<string>]} Command */

/** @type {(...args: Array<string>) => Command} */
const sandboxer = (...args) => [node, join(root, "dist/bin.js"), ...args]

/** @type {(run: number) => Command} */
const nothing = () => [node, "-e", "0"]

const project = join(folder, "project")
mkdirSync(project)
writeFileSync(join(project, "a.txt"), "a\n")

/** @type {() => Command} */
const attach = () =>
  sandboxer(
    "create",
    "--profile=profile.vm-packer-attach",
    ...[
      `host=${host}`,
      `port=${port}`,
      `user=${user}`,
      `identity_file=${identityFile}`,
      `project=${project}`
    ].flatMap((given) => ["-i", given]),
    "--progress=none",
    "-q"
  )

// A script that a user would write: one shared connection, a folder, and its contents.
const script = join(folder, "attach.sh")
writeFileSync(
  script,
  `set -e
remote() {
  ssh -F none -p ${port} -i '${identityFile}' -o 'UserKnownHostsFile=${sshd.knownHostsFile}' -o BatchMode=yes \
    -o ControlMaster=auto -o 'ControlPath=${folder}/shared' -o ControlPersist=60 "$@"
}
case $1 in
  by-hand)
    remote 127.0.0.1 true
    remote 127.0.0.1 'mkdir -p -- "$HOME/by-hand"'
    rsync -a --delete --rsh="sh '$0'" '${project}/' 127.0.0.1:by-hand/
    ;;
  *) remote "$@" ;;
esac
`
)
/** @type {() => Command} */
const byHand = () => ["sh", script, "by-hand"]

/** Closes the connections that both sides keep open. */
const disconnect = () => {
  const ours = readdirSync(join(folder, "home/ssh")).filter((name) => !name.includes("."))
  for (const socket of [join(folder, "shared"), ...ours.map((name) => join(folder, "home/ssh", name))]) {
    // Fails if there is no connection.
    spawnSync("ssh", ["-F", "none", "-O", "exit", "-o", `ControlPath=${socket}`, "127.0.0.1"], {
      stdio: "ignore"
    })
  }
}

/**
 * `run` is the number of the run, so that no two use the same name or folder.
 * @type {ReadonlyArray<{
 *   readonly title: string
 *   readonly peer: string
 *   readonly runs: number
 *   readonly ours: (run: number) => Command
 *   readonly theirs: (run: number) => Command
 *   readonly before?: () => void
 *   readonly sums?: true
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
  },
  {
    title: "`sandboxer create`, attach, nothing to sync",
    peer: "a script of ssh and rsync",
    runs: 15,
    ours: attach,
    theirs: byHand,
    sums: true
  },
  {
    title: "the same, not connected yet",
    peer: "the same",
    runs: 15,
    ours: attach,
    theirs: byHand,
    before: disconnect,
    sums: true
  }
]

/**
 * Milliseconds that a command takes. A command that fails ends the benchmark.
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
  process.stdout.write("| what | ms | beside | ms | ratio | more than it and `--version` | runs |\n")
  process.stdout.write("|---|--:|---|--:|--:|--:|--:|\n")
  for (const { before = () => undefined, ours, peer, runs, sums = false, theirs, title } of rows) {
    // Warm up once: read files from the disk and create the database.
    measure(ours(-1))
    measure(theirs(-1))
    /** @type {Array<number>} */
    const own = []
    /** @type {Array<number>} */
    const other = []
    /** @type {Array<number>} */
    const version = []
    // In turns, so that other load affects both sides alike.
    for (let run = 0; run < runs; run++) {
      before()
      own.push(measure(ours(run)))
      other.push(measure(theirs(run)))
      if (sums) version.push(measure(sandboxer("--version")))
    }
    const [a, b] = [median(own), median(other)]
    const more = sums ? (a - b - median(version)).toFixed(0) : ""
    process.stdout.write(
      `| ${title} | ${a.toFixed(0)} | ${peer} | ${b.toFixed(0)} | ${(a / b).toFixed(1)} | ${more} | ${runs} |\n`
    )
  }
} finally {
  disconnect()
  await sshd.dispose()
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
}

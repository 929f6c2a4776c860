/** What a command made: found in its workspace, brought back, and told of in a receipt. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Artifacts } from "../../../../artifacts/Artifacts.js"
import { ProvisionError } from "../../../../domain/Failure.js"
import type { HostPath } from "../../../../domain/HostPath.js"
import { CollectedFile, Receipt, Revision, receiptName } from "../../../../domain/Receipt.js"
import { Host } from "../../../../hosts/Host.js"
import { Provision } from "../../../../recipe/Provision.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { AttachPlan } from "../AttachPlan.js"
import * as Project from "../Project.js"
import { marker } from "./openWorkspace.js"
import type { Machine } from "./reach.js"
import type { CommandRun } from "./runCommand.js"

/**
 * Prints what the patterns match below the folder $1, each with a letter before it and a NUL behind: F is a file, L a
 * link that leads out, O what is neither file nor folder, N a pattern that matches no file; E ends the list. A pattern
 * is expanded by the shell, but is not split: that is what the empty IFS is for. find(1) follows no links.
 */
const program = `
cd "$1" || exit 1
shift
IFS=
root=$(pwd -P)
inside() {
  case $(readlink -f -- "$1") in "$root" | "\${root%/}/"*) ;; *) printf 'L%s\\000' "$1" && return 1 ;; esac
}
for pattern; do
  none=1
  for match in ./$pattern; do
    [ -e "$match" ] || [ -h "$match" ] || continue
    inside "$match" || { none= && continue; }
    if [ -f "$match" ]; then
      printf 'F%s\\000' "$match"
      none=
    elif [ -d "$match" ]; then
      find "$match/" -type l -exec sh -c '
        root=$1
        shift
        for link; do
          case $(readlink -f -- "$link") in "$root" | "\${root%/}/"*) [ ! -f "$link" ] || printf "F%s\\000" "$link" ;;
          *) printf "L%s\\000" "$link" ;; esac
        done' sh "$root" {} +
      find "$match/" -type f -exec printf 'F%s\\000' {} +
      [ -z "$(find "$match/" ! -type d -print | head -n 1)" ] || none=
    elif [ -e "$match" ]; then
      printf 'O%s\\000' "$match"
      none=
    fi
  done
  [ -z "$none" ] || printf 'N%s\\000' "$pattern"
done
printf 'E\\000'
`

const collectFailed = (message: string, hint: string) =>
  new ProvisionError({ reason: "collect-failed", message, hint })

const plain = (name: string) => name.replaceAll(/\/+/g, "/").replaceAll(/^(?:\.\/)+/g, "")

/** Names of the files that are to be brought back, relative to the workspace. */
const find = Effect.fn(function* (plan: AttachPlan, workspace: HostPath) {
  const host = yield* Host
  const { exitCode, stderr, stdout } = yield* host.run({
    program: "sh",
    args: ["-c", program, "sandboxer-collect", workspace, ...plan.collect]
  })
  const items = stdout.split("\0").slice(0, -1)
  if (exitCode !== 0) {
    return yield* collectFailed(
      `${workspace} on ${host.name} cannot be read: ${stderr.trim()}`,
      "check whether the command removed it, or its permissions"
    )
  }
  // What is kept of an output is limited.
  if (items.at(-1) !== "E") {
    return yield* collectFailed("there are too many files to collect", "have the command pack them into one")
  }
  const of = (letter: string) =>
    items.filter((item) => item.startsWith(letter)).map((item) => plain(item.slice(1)))
  const [none] = of("N")
  if (none !== undefined) {
    return yield* collectFailed(
      `collect: ${none} matches no file in ${workspace} on ${host.name}`,
      "see in the log what the command made, and where"
    )
  }
  const [link] = of("L")
  if (link !== undefined) {
    return yield* collectFailed(
      `collect: ${link} is a link that leads out of the workspace`,
      "have the command copy what is to be collected into the workspace"
    )
  }
  const [other] = of("O")
  if (other !== undefined) {
    return yield* collectFailed(`collect: ${other} is neither a file nor a folder`, "name files or folders")
  }
  const names = [...new Set(of("F"))].filter((name) => name !== marker).sort()
  const unreadable = names.find((name) => name.includes("\uFFFD") || name === receiptName)
  if (unreadable !== undefined) {
    return yield* collectFailed(
      unreadable === receiptName
        ? `collect: ${receiptName} is what the receipt is called`
        : `collect: the name of ${unreadable} is not UTF-8`,
      "give the file another name"
    )
  }
  return names
})

/** Brings the files back, whole and with their relative paths; none where the command failed, or none are asked for. */
export const collect = Effect.fn(function* (
  plan: AttachPlan,
  workspace: HostPath | undefined,
  run: CommandRun | undefined
) {
  if (plan.collect.length === 0 || workspace === undefined || run?.exitCode !== 0) return []
  const artifacts = yield* Artifacts
  const reporter = yield* Reporter
  const steps = yield* Steps
  yield* reporter.phase("collect")
  const into = plan.into ?? artifacts.defaultFolder(plan.name)
  const files = yield* steps.step(
    "collect",
    Schema.Array(CollectedFile),
    Effect.flatMap(find(plan, workspace), (names) =>
      artifacts.collect({ folder: workspace, names }, { folder: into, own: plan.into === null })
    )
  )
  yield* reporter.note("collected", `brought ${files.length} files back into ${into}`, {
    folder: into,
    files: files.length
  })
  return files
})

/** What the project was at when it was sent. */
export const revision = Effect.fn(function* (plan: AttachPlan) {
  const steps = yield* Steps
  const { command, project } = plan
  if (command === null || project === null) return null
  return yield* steps.step("revision", Schema.NullOr(Revision), Project.revision(project))
})

/** Writes the receipt beside the results: of a command that failed, too. */
export const writeReceipt = Effect.fn(function* (
  plan: AttachPlan,
  of: {
    readonly machine: Machine
    readonly revision: Revision | null
    readonly workspace: HostPath | undefined
    readonly run: CommandRun | undefined
    readonly files: ReadonlyArray<CollectedFile>
  }
) {
  const { files, machine, run, workspace } = of
  if (run === undefined || workspace === undefined) return
  const artifacts = yield* Artifacts
  const reporter = yield* Reporter
  const steps = yield* Steps
  const { attempt, id } = yield* Provision
  const { tools, ...host } = machine
  const receipt = new Receipt({
    sandboxId: id,
    attempt,
    project: plan.project === null ? null : { path: plan.project, revision: of.revision },
    host,
    workspace,
    command: reporter.redact(run.command),
    environment: [...Object.keys(plan.environment), ...plan.secretEnvironment].sort(),
    tools,
    startedAt: DateTime.unsafeMake(run.startedAt),
    endedAt: DateTime.unsafeMake(run.endedAt),
    exitCode: run.exitCode,
    files
  })
  const folder = plan.into ?? artifacts.defaultFolder(plan.name)
  yield* steps.step(
    "receipt",
    Schema.Null,
    Effect.as(artifacts.receipt(receipt, { folder, own: plan.into === null }), null)
  )
})

/** A program's first line, and as much of it as is read at a glance; the record and the receipt have all of it. */
const longestTold = 120
const glance = (command: string) => {
  const [first = "", ...more] = command.trim().split("\n")
  return first.length > longestTold || more.length > 0 ? `${first.slice(0, longestTold)}…` : first
}

/** Fails as the command did. */
export const failAsCommand = Effect.fn(function* (run: CommandRun | undefined) {
  if (run === undefined || run.exitCode === 0) return
  const reporter = yield* Reporter
  return yield* run.exitCode === null
    ? new ProvisionError({
        reason: "interrupted",
        message: "the command was interrupted: it is gone and left no exit code",
        hint: "the machine was restarted, the processes were killed, or its disk was full; create the sandbox again"
      })
    : new ProvisionError({
        reason: "command-failed",
        message: `the command ended with exit code ${run.exitCode}: ${glance(run.command)}`,
        hint: "see the log: its last lines say why",
        logTail: yield* reporter.tail
      })
})

import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Artifacts } from "../../../../artifacts/Artifacts.js"
import { ProvisionError } from "../../../../domain/Failure.js"
import type { HostPath } from "../../../../domain/HostPath.js"
import { CollectedFile, receiptName } from "../../../../domain/Receipt.js"
import { Host } from "../../../../hosts/Host.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import type { AttachPlan } from "../AttachPlan.js"
import { marker } from "./openWorkspace.js"
import type { CommandRun } from "./runCommand.js"

/**
 * Prints what the patterns match in the folder $1, as records that end in a NUL and begin with a letter: F is a file, L a
 * link that leads out of the folder, O something that is neither file nor folder, N a pattern that matches no file; E
 * ends the list. With an empty IFS the shell expands a pattern and does not split it. find(1) follows no links.
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

/** Finds the files to fetch; returns their names relative to the workspace. */
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
      "check its permissions, and whether the command removed it"
    )
  }
  // `run` keeps a limited output: without its end, names are missing.
  if (items.at(-1) !== "E") {
    return yield* collectFailed(
      "there are too many files to collect",
      "have the command pack them into an archive"
    )
  }
  const of = (letter: string) =>
    items.filter((item) => item.startsWith(letter)).map((item) => plain(item.slice(1)))
  const [none] = of("N")
  if (none !== undefined) {
    return yield* collectFailed(
      `collect: ${none} matches no file in ${workspace} on ${host.name}`,
      "see the log for what the command made, and where"
    )
  }
  const [link] = of("L")
  if (link !== undefined) {
    return yield* collectFailed(
      `collect: ${link} is a link that leads out of the workspace`,
      "have the command copy the files into the workspace"
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
        ? `collect: ${receiptName} is the name of the receipt`
        : `collect: the name of ${unreadable} is not UTF-8`,
      "give the file another name"
    )
  }
  return names
})

/**
 * Fetches the files that the plan's patterns name, with their relative paths. Does nothing where the command failed, or
 * there is no pattern.
 *
 * Journaled: the files may be gone or changed when another supervisor takes over. If the provision does not
 * end `ready`, its results are removed at the end.
 */
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

/** Facts about a project: a local folder whose contents go to a build machine. */
import * as Effect from "effect/Effect"
import type { Revision } from "../../../domain/Receipt.js"
import { type HostError, Hosts } from "../../../hosts/Host.js"

const local = Effect.flatMap(Hosts, (hosts) => hosts.get({ host: "local" }))

/** Output of a local program that gets the project's folder; empty if it fails or is missing. */
const outputOf = (
  folder: string,
  program: string,
  args: (folder: string) => ReadonlyArray<string>
): Effect.Effect<string, HostError, Hosts> =>
  Effect.gen(function* () {
    const host = yield* local
    const { exitCode, stdout } = yield* host.run({ program, args: args(yield* host.stage(folder)) }).pipe(
      Effect.catchIf(
        ({ reason }) => reason === "program-missing",
        () => Effect.succeed({ exitCode: 127, stdout: "", stderr: "" })
      )
    )
    return exitCode === 0 ? stdout : ""
  })

/** Output of a program of sh, whose first argument is the folder. */
const shellOutput = (program: string, folder: string) =>
  outputOf(folder, "sh", (placed) => ["-c", program, "sandboxer-project", placed])

// The difference is that of this folder, which may be a part of the repository. A pager, a diff driver or a prompt would
// run the user's programs, and change the digest.
const revisionProgram = `
cd "$1" || exit 1
export GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0
git rev-parse --verify --quiet HEAD || exit 1
{
  git diff --no-ext-diff --no-textconv --no-color --binary --full-index HEAD -- .
  git ls-files -z --others --exclude-standard -- .
} | sha256sum
`
const sha256OfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/** The git revision of a project; null without git, or if the folder is in no repository. */
export const revision = (folder: string): Effect.Effect<Revision | null, HostError, Hosts> =>
  Effect.map(shellOutput(revisionProgram, folder), (printed) => {
    const [, commit, digest] = /^([0-9a-f]{40,64})\n([0-9a-f]{64}) /.exec(printed) ?? []
    if (commit === undefined || digest === undefined) return null
    const dirty = digest !== sha256OfNothing
    return { commit, dirty, differenceSha256: dirty ? digest : null }
  })

// Prints the folder, then the names of its links, then their targets in the same order.
const linksProgram = `
cd "$1" || exit 1
pwd -P | tr '\\n' '\\000'
find . -name .git -prune -o -type l -print0
printf '\\000'
find . -name .git -prune -o -type l -exec realpath -mz -- {} +
`

/** Names, relative to the project, of its symbolic links that lead out of it. */
export const linksOut = (folder: string): Effect.Effect<ReadonlyArray<string>, HostError, Hosts> =>
  Effect.gen(function* () {
    // Most projects have no links, and this is quicker than the program below.
    const any = yield* outputOf(folder, "find", (placed) => [
      `${placed}/`,
      ...["-name", ".git", "-prune", "-o", "-type", "l", "-print", "-quit"]
    ])
    if (any === "") return []
    const [root = "", ...items] = (yield* shellOutput(linksProgram, folder)).split("\0")
    const end = items.indexOf("")
    const names = items.slice(0, Math.max(0, end))
    const targets = items.slice(end + 1)
    return names.flatMap((name, index) => {
      const target = targets[index] ?? ""
      return target === "" || target === root || target.startsWith(`${root}/`) ? [] : [name.slice(2)]
    })
  })

/** A local path relative to a folder; `undefined` if it is not below the folder. */
export const below = (folder: string, path: string): string | undefined =>
  path.startsWith(`${folder.replace(/\/+$/, "")}/`)
    ? path.slice(folder.replace(/\/+$/, "").length + 1)
    : undefined

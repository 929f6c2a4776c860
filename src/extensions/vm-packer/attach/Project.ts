/** What is to be known of a project: a folder of this machine whose contents go to a build machine. */
import * as Effect from "effect/Effect"
import type { Revision } from "../../../domain/Receipt.js"
import { type HostError, Hosts } from "../../../hosts/Host.js"

const local = Effect.flatMap(Hosts, (hosts) => hosts.get({ host: "local" }))

/** What a program prints of the project's folder; nothing where it fails or cannot be run. */
const said = (
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

/** The same of a shell program, which has the folder as its first argument. */
const ask = (program: string, folder: string) =>
  said(folder, "sh", (placed) => ["-c", program, "sandboxer-project", placed])

// Of this folder alone, where the repository is a larger one. A pager, a driver for differences or a prompt would be
// somebody's program, and make the digest another one.
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

/** What git says of a project; null without git, or where the folder is in no repository. */
export const revision = (folder: string): Effect.Effect<Revision | null, HostError, Hosts> =>
  Effect.map(ask(revisionProgram, folder), (printed) => {
    const [, commit, digest] = /^([0-9a-f]{40,64})\n([0-9a-f]{64}) /.exec(printed) ?? []
    if (commit === undefined || digest === undefined) return null
    const dirty = digest !== sha256OfNothing
    return { commit, dirty, differenceSha256: dirty ? digest : null }
  })

// The same links in the same order, first as they are called, then where they lead; the folder itself before all.
const linksProgram = `
cd "$1" || exit 1
pwd -P | tr '\\n' '\\000'
find . -name .git -prune -o -type l -print0
printf '\\000'
find . -name .git -prune -o -type l -exec realpath -mz -- {} +
`

/** Symbolic links of a project that lead out of it, by their names relative to it. */
export const linksOut = (folder: string): Effect.Effect<ReadonlyArray<string>, HostError, Hosts> =>
  Effect.gen(function* () {
    // Most have none, which one program tells.
    const any = yield* said(folder, "find", (placed) => [
      `${placed}/`,
      ...["-name", ".git", "-prune", "-o", "-type", "l", "-print", "-quit"]
    ])
    if (any === "") return []
    const [root = "", ...items] = (yield* ask(linksProgram, folder)).split("\0")
    const end = items.indexOf("")
    const names = items.slice(0, Math.max(0, end))
    const targets = items.slice(end + 1)
    return names.flatMap((name, index) => {
      const target = targets[index] ?? ""
      return target === "" || target === root || target.startsWith(`${root}/`) ? [] : [name.slice(2)]
    })
  })

/** Where a local path lies below a folder; `undefined` where it does not. */
export const below = (folder: string, path: string): string | undefined =>
  path.startsWith(`${folder.replace(/\/+$/, "")}/`)
    ? path.slice(folder.replace(/\/+$/, "").length + 1)
    : undefined

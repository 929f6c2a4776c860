/** Copying folders with rsync: what it is told, and what it says that it did. */
import type { SyncChange, SyncOptions } from "../Host.js"

/** Makes a folder the same as another. Owners are not kept: they are others there. What is excluded is not deleted. */
export const syncOptions = ({ dryRun, exclude, gitignore }: SyncOptions): ReadonlyArray<string> => [
  "--recursive",
  "--links",
  "--perms",
  "--times",
  "--delete",
  "--out-format=%o %n",
  ...(dryRun ? ["--dry-run"] : []),
  ...exclude.map((pattern) => `--exclude=${pattern}`),
  ...(gitignore ? ["--filter=:- .gitignore"] : [])
]

/** Arguments that make the local folder `to` the same as `from`. */
export const syncArguments = (from: string, to: string, options: SyncOptions): ReadonlyArray<string> => [
  ...syncOptions(options),
  "--",
  `${from.replace(/\/+$/, "")}/`,
  to
]

/** rsync writes control characters of a name as `\#` and three octal digits. */
const unescaped = (name: string) =>
  name.replaceAll(/\\#([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** What rsync says that it sent and deleted; folders aside, whose times change with what is in them. */
export const parseChanges = (stdout: string): ReadonlyArray<SyncChange> =>
  stdout.split("\n").flatMap((line): ReadonlyArray<SyncChange> => {
    const [, operation, name = ""] = /^(send|del\.) (.+)$/.exec(line) ?? []
    if (operation === undefined || (operation === "send" && name.endsWith("/"))) return []
    return [{ kind: operation === "send" ? "sent" : "deleted", path: unescaped(name) }]
  })

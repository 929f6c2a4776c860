/** Files of a host behind SSH: small programs of sh for what is small, rsync for what is not. */
import { createHash, randomBytes } from "node:crypto"
import { createReadStream } from "node:fs"
import * as fs from "node:fs/promises"
import { hostname, userInfo } from "node:os"
import { basename, dirname as localDirname } from "node:path"
import * as Effect from "effect/Effect"
import { describeError } from "../../domain/ErrorKind.js"
import { dirname, HostPath, join } from "../../domain/HostPath.js"
import { type FileInfo, HostError, type HostShape } from "../Host.js"
import * as Rsync from "../internal/Rsync.js"
import { fileError } from "./SshErrors.js"
import type { Link } from "./SshLink.js"
import { rsyncOver } from "./SshRsync.js"
import type { Question } from "./SshShell.js"

type Files = Pick<
  HostShape,
  | "stage"
  | "put"
  | "get"
  | "write"
  | "makeFolder"
  | "makeSubfolder"
  | "list"
  | "info"
  | "realPath"
  | "sha256"
  | "remove"
  | "removeWithFolder"
  | "freeBytes"
  | "sync"
  | "fetch"
>

const there = '[ -e "$1" ] || [ -h "$1" ]'
const needsIt = `{ ${there}; } || { echo "$1: No such file or directory" >&2; exit 1; }`

const programs = {
  // What came is whole only if it is as long as what was sent.
  write: `
umask 077
cat >"$1.new" && [ "$(($(wc -c <"$1.new")))" = "$2" ] && mv -f -- "$1.new" "$1" && exit 0
code=$?
rm -f -- "$1.new"
exit 1`,
  makeFolder: 'umask 077; mkdir -p -- "$1" || exit 1',
  makeSubfolder: 'umask 077; [ -d "$1" ] || mkdir -- "$1" || [ -d "$1" ] || exit 1',
  list: `
${needsIt}
cd -- "$1" || exit 1
for one in * .[!.]* ..?*; do
  { [ -e "$one" ] || [ -h "$one" ]; } && printf '%s\\0' "$one"
done
exit 0`,
  info: `
[ -e "$1" ] || { echo absent; exit 0; }
if [ -f "$1" ]; then type=file; elif [ -d "$1" ]; then type=folder; else type=other; fi
size=$(stat -L -c %s -- "$1" 2>/dev/null) || size=$(wc -c <"$1") || exit 1
echo "$type $((size))"`,
  realPath: `${needsIt}\nreadlink -f -- "$1" || exit 1`,
  sha256: 'sha256sum <"$1" || exit 1',
  remove: 'rm -rf -- "$1" || exit 1',
  // That it fails where something else is in it is what is asked of it.
  removeWithFolder: `
rmdir -- "$1" "\${1%/*}" 2>/dev/null && exit 0
rm -rf -- "$1" || exit 1
rmdir -- "\${1%/*}" 2>/dev/null || :`,
  freeBytes: `${needsIt}\ndf -Pk -- "$1" || exit 1`,
  absent: `if ${there}; then echo "$1: File exists" >&2; exit 1; fi`,
  // A name that is taken meanwhile is not replaced.
  settle: `
if [ -e "$2" ] || [ -h "$2" ]; then rm -rf -- "$1"; echo "$2: File exists" >&2; exit 1; fi
mv -- "$1" "$2" || exit 1`,
  links: 'cd -- "$1" || exit 1; shift; for one; do [ ! -h "$one" ] || printf \'%s\\0\' "$one"; done; exit 0'
}

const localDigest = async (file: string) => {
  const hash = createHash("sha256")
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 }))
    hash.update(chunk as Buffer)
  return hash.digest("hex")
}

export const make = (link: Link, home: HostPath): Files => {
  const local = <A>(run: () => Promise<A>): Effect.Effect<A, HostError> =>
    Effect.tryPromise({
      try: run,
      catch: (cause) => fileError("this machine", "a file", describeError(cause))
    })
  const ask = (what: string, question: Question) =>
    Effect.flatMap(link.ask(question), ({ exitCode, stderr, stdout }) =>
      exitCode === 0 ? Effect.succeed(stdout.toString("utf8")) : fileError(link.name, what, stderr)
    )
  const does = (what: string, program: string, ...args: ReadonlyArray<string>) => ask(what, { program, args })
  const { pull, push } = rsyncOver(link)

  const makeFolder: HostShape["makeFolder"] = (path) =>
    Effect.asVoid(does(`make ${path}`, programs.makeFolder, path))
  const sha256: HostShape["sha256"] = (path) =>
    Effect.map(does(`read ${path}`, programs.sha256, path), (text) => text.slice(0, 64))

  /** Where a local file or folder lies there, from one run to the next: by this machine, user and path. */
  const placeOf = (path: string) =>
    join(
      home,
      "placed",
      createHash("sha256")
        .update(JSON.stringify([hostname(), userInfo().username, path]))
        .digest("hex")
        .slice(0, 16),
      basename(path)
    )

  const fetchNames = (
    folder: HostPath,
    names: ReadonlyArray<string>,
    to: string,
    options: ReadonlyArray<string>
  ) =>
    names.length === 0
      ? Effect.void
      : Effect.asVoid(
          pull(
            ["--recursive", "--perms", "--times", "--from0", "--files-from=-", ...options],
            HostPath(`${folder}/`),
            `${to}/`,
            names.map((one) => `${one}\0`).join("")
          )
        )

  return {
    // Links within stay links; what others lead to is sent, since they lead nowhere there.
    stage: (path, fence) =>
      Effect.gen(function* () {
        const behind = fence === undefined ? undefined : yield* fence
        const real = yield* local(() => fs.realpath(path))
        const isFolder = yield* local(async () => (await fs.stat(real)).isDirectory())
        const to = placeOf(path)
        yield* makeFolder(isFolder ? to : dirname(to))
        const kept = ["--perms", "--times", "--links", "--copy-unsafe-links"]
        yield* isFolder
          ? push(["--recursive", "--delete", ...kept], `${real}/`, HostPath(`${to}/`), behind)
          : push(kept, real, to, behind)
        return to
      }),
    put: (path, to) =>
      Effect.gen(function* () {
        yield* does(`put ${to}`, programs.absent, to)
        const real = yield* local(() => fs.realpath(path))
        const isFolder = yield* local(async () => (await fs.stat(real)).isDirectory())
        const beside = HostPath(`${to}.${randomBytes(4).toString("hex")}.new`)
        const kept = ["--perms", "--times", "--links"]
        yield* Effect.onError(
          isFolder
            ? push(["--recursive", ...kept], `${real}/`, HostPath(`${beside}/`))
            : push(kept, real, beside),
          () => Effect.ignore(does(`remove ${beside}`, programs.remove, beside))
        )
        yield* does(`put ${to}`, programs.settle, beside, to)
      }),
    get: (path, to) =>
      Effect.gen(function* () {
        const there = yield* Effect.orElseSucceed(
          local(() => fs.lstat(to)),
          () => undefined
        )
        if (there !== undefined) {
          return yield* fileError("this machine", `get ${path}`, `${to}: File exists`)
        }
        const sum = yield* sha256(path)
        // Named by its digest: what an earlier try brought is not brought again.
        const part = `${localDirname(to)}/.${sum.slice(0, 16)}.part`
        yield* pull(["--times", "--copy-links", "--partial", "--inplace"], path, part)
        if ((yield* local(() => localDigest(part))) !== sum) {
          yield* local(() => fs.rm(part, { force: true }))
          return yield* new HostError({
            reason: "other",
            host: link.name,
            message: `${path} of ${link.name} changed while it was brought here, or did not come whole`,
            hint: "see what writes to it there, and try again"
          })
        }
        // link(2) fails where the name exists.
        yield* local(async () => {
          await fs.link(part, to)
          await fs.unlink(part)
        })
      }),
    write: (path, content) =>
      Effect.asVoid(
        ask(`write ${path}`, {
          program: programs.write,
          args: [path, String(Buffer.byteLength(content))],
          input: content
        })
      ),
    makeFolder,
    makeSubfolder: (path) => Effect.asVoid(does(`make ${path}`, programs.makeSubfolder, path)),
    list: (path) =>
      Effect.map(does(`list ${path}`, programs.list, path), (text) => text.split("\0").slice(0, -1).sort()),
    info: (path) =>
      Effect.map(does(`look at ${path}`, programs.info, path), (text): FileInfo | undefined => {
        const [word, size] = text.trim().split(" ")
        return word === "file" || word === "folder" || word === "other"
          ? { type: word, sizeBytes: Number(size) }
          : undefined
      }),
    realPath: (path) =>
      Effect.map(does(`look at ${path}`, programs.realPath, path), (text) =>
        HostPath(text.replace(/\n$/, ""))
      ),
    sha256,
    remove: (path) => Effect.asVoid(does(`remove ${path}`, programs.remove, path)),
    removeWithFolder: (path) => Effect.asVoid(does(`remove ${path}`, programs.removeWithFolder, path)),
    freeBytes: (path) =>
      Effect.map(
        does(`look at ${path}`, programs.freeBytes, path),
        (text) => Number(/(\d+)\s+\d+%\s/.exec(text)?.[1] ?? 0) * 1024
      ),
    sync: (from, folder, options) =>
      Effect.map(
        push(
          Rsync.syncOptions(options),
          `${from.replace(/\/+$/, "")}/`,
          HostPath(`${folder}/`),
          options.fence
        ),
        Rsync.parseChanges
      ),
    fetch: (folder, names, to) =>
      Effect.gen(function* () {
        for (const one of names) {
          const taken = yield* Effect.orElseSucceed(
            local(() => fs.lstat(`${to}/${one}`)),
            () => undefined
          )
          if (taken !== undefined && !taken.isDirectory()) {
            return yield* fileError("this machine", `get ${one}`, `${to}/${one}: File exists`)
          }
        }
        yield* local(() => fs.mkdir(to, { recursive: true }))
        // What a link that was asked for leads to is brought; links within folders stay links.
        const links = (yield* does(`look at ${folder}`, programs.links, folder, ...names))
          .split("\0")
          .slice(0, -1)
        yield* fetchNames(
          folder,
          names.filter((one) => !links.includes(one)),
          to,
          ["--links"]
        )
        yield* fetchNames(folder, links, to, ["--copy-links"])
      })
  }
}

import { readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { run } from "../../src/cli/main.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

const below = (folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name))

const documents = [...readdirSync(root), ...below("docs"), ...below("runbooks")]
  .filter((name) => name.endsWith(".md"))
  .map((name) => {
    const text = readFileSync(join(root, name), "utf8")
    const fence = /^ *```[^\n]*\n([\s\S]*?)^ *```$/gm
    const prose = text.replaceAll(fence, "")
    return {
      name,
      prose,
      fenced: [...text.matchAll(fence)].map(([, block = ""]) => block),
      // As GitHub names them.
      anchors: [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
        heading
          .toLowerCase()
          .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
          .replaceAll(" ", "-")
      )
    }
  })

const exists = (path: string) => statSync(path, { throwIfNoEntry: false }) !== undefined

const word = /(?:"[^"]*"|'[^']*'|[^\s"'|;&()<>#])+/.source

/** The command lines of a piece of shell: the words behind `sandboxer`, without their quotes. */
const commandLines = (shell: string): ReadonlyArray<ReadonlyArray<string>> =>
  [
    ...shell
      .replaceAll("\\\n", " ")
      .matchAll(new RegExp(`(?:^|[|;&(]|[A-Z_]+=\\S+)[^\\S\\n]*sandboxer((?:[^\\S\\n]+${word})*)`, "gm"))
  ].map(([, words = ""]) =>
    [...words.matchAll(new RegExp(word, "g"))].map(([one]) => one.replaceAll(/["']/g, ""))
  )

/**
 * The exit code of a command line whose verb gets nothing to work with: 2 where the words are wrong, 1 where they are
 * right, 0 where they ask for help.
 */
const exitCodeOf = (words: ReadonlyArray<string>) =>
  run(words, { settled: () => Layer.die("no layer"), full: () => Layer.die("no layer") }).pipe(
    Effect.provide(NodeContext.layer)
  )

describe.each(documents)("$name", ({ anchors, fenced, name, prose }) => {
  it("has no broken link", () => {
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link = ""]) => link)
      .filter((link) => !/^[a-z]+:/.test(link))
    const dead = links.filter((link) => {
      const [path = "", anchor] = link.split("#")
      const target = path === "" ? name : join(dirname(name), path)
      if (!exists(resolve(root, target))) return true
      const known = path === "" ? anchors : documents.find((other) => other.name === target)?.anchors
      return anchor !== undefined && known?.includes(anchor) !== true
    })
    expect(dead).toEqual([])
  })

  it.effect("has only command lines that the command accepts", () =>
    Effect.gen(function* () {
      const said = [vi.spyOn(process.stderr, "write"), vi.spyOn(console, "log")]
      for (const spy of said) spy.mockReturnValue(true)
      const lines = yield* Effect.forEach(fenced.flatMap(commandLines), (words) =>
        Effect.map(exitCodeOf(words), (exitCode) => ({ words, exitCode }))
      )
      for (const spy of said) spy.mockRestore()
      expect(lines.filter(({ exitCode }) => exitCode === 2)).toEqual([])
    })
  )
})

import { type ChildProcess, fork } from "node:child_process"
import { on, once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@effect/vitest"
import BetterSqlite3 from "better-sqlite3"
import { build } from "esbuild"
import type { Answer, Order } from "./sqlite-worker.js"

const bundles = mkdtempSync(join(tmpdir(), "sandboxer-sqlite-worker-"))
const worker = join(bundles, "worker.mjs")

beforeAll(() =>
  build({
    entryPoints: [fileURLToPath(new URL("./sqlite-worker.ts", import.meta.url))],
    outfile: worker,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "warning",
    plugins: [
      {
        // It loads a native library from its own folder, and the bundle is not below node_modules.
        name: "better-sqlite3",
        setup: ({ onResolve }) =>
          onResolve({ filter: /^better-sqlite3$/ }, ({ path }) => ({
            path: createRequire(import.meta.url).resolve(path),
            external: true
          }))
      }
    ]
  })
)
afterAll(() => rmSync(bundles, { recursive: true, force: true }))

let folder: string
let filename: string
const children: Array<ChildProcess> = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sandboxer-sqlite-"))
  filename = join(folder, "sandboxer.db")
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill("SIGKILL")
    await once(child, "exit")
  }
  rmSync(folder, { recursive: true, force: true })
})

type Tagged<Tag extends Answer["_tag"]> = Extract<Answer, { readonly _tag: Tag }>

const isTagged = <Tag extends Answer["_tag"]>(answer: Answer, tag: Tag): answer is Tagged<Tag> =>
  answer._tag === tag

/** A worker that is loaded, and waits for the order to begin. */
const startWorker = async (times: number) => {
  const child = fork(worker, [filename, String(times)], { execArgv: [] })
  children.push(child)
  const answers = on(child, "message", { close: ["disconnect"] })
  /** Reads its answers until the one that is asked for. */
  const answered = async <Tag extends Answer["_tag"]>(tag: Tag): Promise<Tagged<Tag>> => {
    for (let next = await answers.next(); !next.done; next = await answers.next()) {
      const answer: Answer = next.value[0]
      if (isTagged(answer, tag)) return answer
      if (answer._tag === "Failed") throw new Error(answer.message)
    }
    throw new Error(`the worker ended before it was ${tag}`)
  }
  await answered("Loaded")
  return { answered, tell: (order: Order) => child.send(order) }
}

/** Answers to `count` pings, one after the other; each has to find a turn of the event loop. */
const ping = async ({ answered, tell }: Awaited<ReturnType<typeof startWorker>>, count: number) => {
  for (let sent = 0; sent < count; sent++) {
    tell("ping")
    await answered("Pong")
  }
}

describe("several processes on one database", () => {
  it("eight processes create and migrate it once and lose none of 4,000 updates", async () => {
    const workers = await Promise.all(Array.from({ length: 8 }, () => startWorker(500)))
    for (const { tell } of workers) tell("begin")
    const results = await Promise.all(workers.map(({ answered }) => answered("Done")))
    expect(Math.max(...results.map(({ counter }) => counter))).toBe(4000)
    const database = new BetterSqlite3(filename)
    expect(database.prepare("SELECT value FROM counter").all()).toEqual([{ value: 4000 }])
    expect(database.prepare("SELECT migration_id FROM effect_sql_migrations").pluck().all()).toEqual([1, 2])
    expect(database.pragma("integrity_check", { simple: true })).toBe("ok")
    database.close()
  })

  it("waiting for another process's lock does not block the event loop", async () => {
    const holder = new BetterSqlite3(filename)
    // A database that is new: its first lock is waited for as it is opened.
    holder.exec("BEGIN IMMEDIATE")
    const opening = await startWorker(1)
    opening.tell("begin")
    await ping(opening, 20)
    holder.exec("ROLLBACK")
    await opening.answered("Opened")
    const first = await opening.answered("Done")
    expect(first.counter).toBe(1)

    holder.exec("BEGIN IMMEDIATE; UPDATE counter SET value = 41")
    const writing = await startWorker(1)
    writing.tell("begin")
    await writing.answered("Opened")
    await ping(writing, 20)
    holder.exec("COMMIT")
    holder.close()
    const second = await writing.answered("Done")
    // It began after the commit that it waited for.
    expect(second.counter).toBe(42)

    // SQLite's own wait would be 5,000.
    expect(Math.max(first.longestBlock, second.longestBlock)).toBeLessThan(2500)
  })
})

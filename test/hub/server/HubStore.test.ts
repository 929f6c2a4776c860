import { statSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import BetterSqlite3 from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { HubStore, type HubStoreError } from "../../../src/hub/server/HubStore.js"
import * as Sql from "../../../src/hub/server/sql/HubStoreSql.js"
import { layerHome } from "../../../src/settings/Settings.js"
import * as memory from "../../support/inMemory.js"
import { note, notes } from "./hub.js"

const temporaryFolder = Effect.provide(memory.temporaryFolder, memory.platform)

const inFolder = (home: string, database?: string) =>
  Sql.layer(database).pipe(Layer.provide(layerHome(home)), Layer.provide(memory.platform))

const stores: ReadonlyArray<readonly [string, Layer.Layer<HubStore, HubStoreError>]> = [
  ["in memory", Sql.layerMemory],
  ["in a file", Layer.unwrapScoped(Effect.map(temporaryFolder, (home) => inFolder(home)))]
]

describe.each(stores)("a hub's store %s", (_, layer) => {
  const test = (name: string, run: (store: HubStore["Type"]) => Effect.Effect<void, HubStoreError>) =>
    it.effect(name, () => Effect.provide(Effect.flatMap(HubStore, run), layer))

  const all = { filter: {}, order: "oldest", limit: 1000 } as const

  test("keeps each note once when several senders send it at the same time", (store) =>
    Effect.gen(function* () {
      const taken = yield* Effect.forEach(
        [notes(1, 50), notes(26, 75), notes(1, 100), [note(3), note(3)], []],
        store.take,
        { concurrency: "unbounded" }
      )
      expect(taken.reduce((sum, one) => sum + one)).toBe(100)
      const kept = yield* store.page(all)
      const positions = kept.map(({ position }) => position)
      expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b))
      expect(new Set(kept.map((one) => one.note.id)).size).toBe(100)
      expect(yield* store.newest).toBe(positions.at(-1))
    }))

  test("keeps the first of two notes with the same id", (store) =>
    Effect.gen(function* () {
      yield* store.take([note(1, { summary: "first" }), note(1, { summary: "second" })])
      yield* store.take([note(1, { summary: "third" })])
      expect((yield* store.page(all)).map((kept) => kept.note.summary)).toEqual(["first"])
    }))

  test("returns what it was given", (store) =>
    Effect.gen(function* () {
      const given = note(1, {
        summary: "\u0000 '\"\\ \u2028 \ud83d\ude00 \ud800",
        percent: 62.5,
        workstream_id: "",
        detail: { a: [1, null, { b: "c" }], "": false }
      })
      yield* store.take([given])
      expect(yield* store.page(all)).toEqual([
        { position: 1, receivedAt: "1970-01-01T00:00:00.000Z", note: given }
      ])
      expect(yield* store.page({ ...all, filter: { workstream: "" } })).toHaveLength(1)
    }))

  test("applies all conditions of a filter after a cursor, in both orders", (store) =>
    Effect.gen(function* () {
      const mixed = notes(1, 40).map((one, index) => ({
        ...one,
        workstream_id: index % 2 === 0 ? "w" : null,
        task_id: index % 4 === 0 ? "t" : null,
        event_type: index % 8 === 0 ? "failed" : "phase",
        sandbox_id: index < 20 ? "a" : "b"
      }))
      yield* store.take(mixed)
      const filter = { workstream: "w", task: "t", eventType: "failed", sandbox: "b" }
      const found = (page: Partial<Parameters<typeof store.page>[0]>) =>
        Effect.map(store.page({ ...all, ...page }), (kept) => kept.map(({ position }) => position))
      expect(yield* found({ filter })).toEqual([25, 33])
      expect(yield* found({ filter, cursor: 25 })).toEqual([33])
      expect(yield* found({ filter, order: "newest" })).toEqual([33, 25])
      expect(yield* found({ filter, order: "newest", cursor: 33 })).toEqual([25])
      expect(yield* found({ filter: { task: "t" }, limit: 3 })).toEqual([1, 5, 9])
      const [since, until] = [note(10), note(12)].map(({ occurred_at }) => Date.parse(occurred_at))
      expect(yield* found({ filter: { since, until } })).toEqual([10, 11])
    }))

  test("reports its size", (store) =>
    Effect.gen(function* () {
      const empty = yield* store.size
      expect(empty.notes).toBe(0)
      yield* store.take(notes(1, 1000))
      const full = yield* store.size
      expect(full.notes).toBe(1000)
      expect(full.bytes).toBeGreaterThan(empty.bytes + 100_000)
    }))
})

describe("a hub's store in a file", () => {
  it.scoped("is private and keeps its notes for the next process", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const [home, file] = [join(folder, "state"), join(folder, "notes.db")]
      const take = (n: number, database?: string) =>
        Effect.provide(
          Effect.flatMap(HubStore, (store) => Effect.zipRight(store.take([note(n)]), store.newest)),
          inFolder(home, database)
        )
      expect(yield* take(1)).toBe(1)
      expect(yield* take(2)).toBe(2)
      expect(yield* take(3, file)).toBe(1)
      for (const one of [join(home, "hub.db"), file]) expect(statSync(one).mode & 0o777).toBe(0o600)
      expect(statSync(home).mode & 0o777).toBe(0o700)
    })
  )

  it.scoped("reports what is wrong with its file", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const open = (database: string) => Effect.flip(Layer.build(inFolder(folder, database)))
      expect(yield* open(join(folder, "none", "hub.db"))).toMatchObject({ reason: "not-writable" })
      expect(yield* open(import.meta.filename)).toMatchObject({ reason: "damaged" })
    })
  )

  it.scoped("reports a stored note that cannot be read", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const file = join(folder, "hub.db")
      const run = <A>(use: (store: HubStore["Type"]) => Effect.Effect<A, HubStoreError>) =>
        Effect.provide(Effect.flatMap(HubStore, use), inFolder(folder, file))
      yield* run((store) => store.take([note(1)]))
      const other = new BetterSqlite3(file)
      other.exec("UPDATE notes SET document = '{}'")
      other.close()
      const page = { filter: {}, order: "oldest", limit: 1 } as const
      expect(yield* Effect.flip(run((store) => store.page(page)))).toMatchObject({ reason: "damaged" })
    })
  )
})

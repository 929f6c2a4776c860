/** A hub's notes in an SQLite database. */
import * as Path from "@effect/platform/Path"
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Note } from "../../../domain/Note.js"
import { databaseError } from "../../../internal/DatabaseError.js"
import * as Sqlite from "../../../internal/Sqlite.js"
import type { Migrations } from "../../../internal/SqliteMigrations.js"
import { Settings } from "../../../settings/Settings.js"
import { Timing } from "../../../settings/Timing.js"
import { type Filter, HubStore, HubStoreError } from "../HubStore.js"

/** Each runs once; a later program adds to them and changes none. */
const migrations: Migrations = {
  "1_notes": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    // A position is never used again.
    yield* sql`CREATE TABLE notes (
      position INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      received_at TEXT NOT NULL,
      occurred INTEGER NOT NULL,
      workstream TEXT,
      task TEXT,
      sandbox TEXT NOT NULL,
      event_type TEXT NOT NULL,
      document TEXT NOT NULL
    )`
    // Each ends with the position, which is the rowid.
    yield* sql`CREATE INDEX notes_workstream ON notes (workstream)`
    yield* sql`CREATE INDEX notes_task ON notes (task)`
    yield* sql`CREATE INDEX notes_sandbox ON notes (sandbox)`
  })
}

const NoteJson = Schema.parseJson(Note)

const columns = (note: Note, receivedAt: string) => ({
  id: note.id,
  received_at: receivedAt,
  occurred: Date.parse(note.occurred_at),
  workstream: note.workstream_id,
  task: note.task_id,
  sandbox: note.sandbox_id,
  event_type: note.event_type,
  document: JSON.stringify(note)
})

interface Row {
  readonly position: number
  readonly received_at: string
  readonly document: string
}

const make = (options: Pick<Sqlite.DatabaseOptions, "filename" | "makeFolder">) =>
  Effect.gen(function* () {
    const { filename } = options
    const sql = yield* Sqlite.make({ ...options, migrations, limits: (yield* Timing).database })
    const run = <A>(effect: Effect.Effect<A, SqlError>) =>
      Effect.mapError(effect, (error) => {
        const { hint, message, reason } = databaseError(filename)(error)
        return new HubStoreError({ reason, message, hint })
      })
    const decode = ({ document, position, received_at }: Row) =>
      Effect.mapBoth(Schema.decode(NoteJson)(document), {
        onFailure: (error) =>
          new HubStoreError({
            reason: "damaged",
            message: `the database ${filename}: note ${position} cannot be read: ${error.message}`,
            hint: "Restore it from a backup."
          }),
        onSuccess: (note) => ({ position, receivedAt: received_at, note })
      })
    const conditions = ({ eventType, sandbox, since, task, until, workstream }: Filter) => [
      ...(workstream === undefined ? [] : [sql`workstream = ${workstream}`]),
      ...(task === undefined ? [] : [sql`task = ${task}`]),
      ...(sandbox === undefined ? [] : [sql`sandbox = ${sandbox}`]),
      ...(eventType === undefined ? [] : [sql`event_type = ${eventType}`]),
      ...(since === undefined ? [] : [sql`occurred >= ${since}`]),
      ...(until === undefined ? [] : [sql`occurred < ${until}`])
    ]
    return HubStore.of({
      take: (notes) =>
        Effect.gen(function* () {
          if (notes.length === 0) return 0
          const receivedAt = DateTime.formatIso(yield* DateTime.now)
          const rows = notes.map((note) => columns(note, receivedAt))
          // One statement is a transaction.
          const taken = yield* run(
            sql`INSERT INTO notes ${sql.insert(rows)} ON CONFLICT (id) DO NOTHING RETURNING position`
          )
          return taken.length
        }),
      page: ({ cursor, filter, limit, order }) => {
        const behind =
          order === "oldest"
            ? sql`position > ${cursor ?? 0}`
            : sql`position < ${cursor ?? Number.MAX_SAFE_INTEGER}`
        return Effect.flatMap(
          run(sql<Row>`SELECT position, received_at, document FROM notes
            WHERE ${sql.and([...conditions(filter), behind])}
            ORDER BY position ${sql.literal(order === "oldest" ? "ASC" : "DESC")} LIMIT ${limit}`),
          Effect.forEach(decode)
        )
      },
      newest: Effect.map(
        run(sql<{ readonly newest: number }>`SELECT coalesce(max(position), 0) AS newest FROM notes`),
        ([row]) => row?.newest ?? 0
      ),
      size: Effect.map(
        run(sql<{ readonly notes: number; readonly bytes: number }>`
          SELECT (SELECT count(*) FROM notes) AS notes, page_count * page_size AS bytes
          FROM pragma_page_count(), pragma_page_size()`),
        ([row]) => row ?? { notes: 0, bytes: 0 }
      )
    })
  })

/**
 * Notes in memory, for tests.
 * @category layers
 */
export const layerMemory: Layer.Layer<HubStore> = Layer.scoped(HubStore, make({ filename: ":memory:" }))

/**
 * Notes in the given file, else in `hub.db` of the state directory, which is created where it is missing.
 * @category layers
 */
export const layer = (database?: string): Layer.Layer<HubStore, HubStoreError, Settings | Path.Path> =>
  Layer.scoped(
    HubStore,
    Effect.gen(function* () {
      const path = yield* Path.Path
      const { home } = yield* Settings
      const store = yield* make({
        filename: database ?? path.join(home, "hub.db"),
        makeFolder: database === undefined
      })
      // A hub that has no place for notes does not start.
      yield* store.newest
      return store
    })
  )

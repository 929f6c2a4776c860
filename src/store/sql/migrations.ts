/** The tables of the store. */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type { Migrations } from "../../internal/SqliteMigrations.js"

const statements = (...texts: ReadonlyArray<string>) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.forEach(texts, (text) => sql.unsafe(text), { discard: true })
  )

/** Each runs once; a later program adds to them and changes none. */
export const migrations: Migrations = {
  "1_sandboxes": statements(
    `CREATE TABLE sandboxes (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL,
      living INTEGER NOT NULL,
      created_at TEXT NOT NULL,
      document TEXT NOT NULL,
      plan TEXT NOT NULL,
      cancel_requested INTEGER NOT NULL DEFAULT 0
    )`,
    "CREATE UNIQUE INDEX sandboxes_living_name ON sandboxes (name) WHERE living = 1",
    `CREATE TABLE leases (
      sandbox_id TEXT PRIMARY KEY REFERENCES sandboxes (id),
      term INTEGER NOT NULL,
      holder TEXT NOT NULL,
      beat INTEGER NOT NULL
    )`,
    `CREATE TABLE steps (
      sandbox_id TEXT NOT NULL REFERENCES sandboxes (id),
      attempt INTEGER NOT NULL,
      key TEXT NOT NULL,
      document TEXT NOT NULL,
      PRIMARY KEY (sandbox_id, attempt, key)
    )`,
    `CREATE TABLE events (
      position INTEGER PRIMARY KEY AUTOINCREMENT,
      sandbox_id TEXT NOT NULL REFERENCES sandboxes (id),
      seq INTEGER NOT NULL,
      identity TEXT NOT NULL,
      document TEXT NOT NULL,
      UNIQUE (sandbox_id, seq),
      UNIQUE (sandbox_id, identity)
    )`,
    `CREATE TABLE logs (
      sandbox_id TEXT PRIMARY KEY REFERENCES sandboxes (id),
      document TEXT NOT NULL
    )`
  ),
  "3_claims": statements(
    `CREATE TABLE claims (
      ticket INTEGER PRIMARY KEY AUTOINCREMENT,
      sandbox_id TEXT NOT NULL REFERENCES sandboxes (id),
      resource TEXT NOT NULL,
      UNIQUE (resource, sandbox_id)
    )`,
    "CREATE INDEX claims_sandbox ON claims (sandbox_id)"
  ),
  // A note that was delivered keeps its row and loses its text: the event has all of it.
  "4_outbox": statements(
    `CREATE TABLE outbox (
      position INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      sandbox_id TEXT NOT NULL REFERENCES sandboxes (id),
      event_type TEXT NOT NULL,
      occurred_at INTEGER NOT NULL,
      state TEXT NOT NULL DEFAULT 'waiting',
      attempts INTEGER NOT NULL DEFAULT 0,
      reason TEXT,
      document TEXT NOT NULL
    )`,
    "CREATE INDEX outbox_state ON outbox (state, position)",
    "CREATE INDEX outbox_sandbox ON outbox (sandbox_id, event_type, position)",
    `CREATE TABLE sender (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      term INTEGER NOT NULL,
      holder TEXT NOT NULL,
      renewed_at INTEGER NOT NULL,
      delivering TEXT NOT NULL
    )`
  ),
  // A program older than this column counts every claim as held.
  "5_held_claims": statements("ALTER TABLE claims ADD COLUMN held INTEGER NOT NULL DEFAULT 1")
}

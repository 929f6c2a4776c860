/** The tables of the store. */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type { Additions, Migrations } from "../../internal/SqliteMigrations.js"

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

/** Where a sandbox stands in every line: the position of its latest request. */
const requestedPosition = (sandboxId: string) =>
  `(SELECT coalesce(max(position), 0) FROM events
    WHERE events.sandbox_id = ${sandboxId} AND document ->> 'type' = 'requested')`

const field = (name: string, path: string) =>
  `ALTER TABLE sandboxes ADD COLUMN ${name} TEXT AS (CASE WHEN json_valid(document) THEN document ->> '${path}' END)`

/**
 * What queries need so that they need not read every document. The values come from what every version writes, so rows
 * of an older supervisor that still runs are found, too.
 */
export const additions: Additions = [
  field("state", "$.state"),
  field("profile", "$.profile"),
  field("extension", "$.extension"),
  field("mode", "$.mode"),
  field("host", "$.placement.host"),
  field("expires_at", "$.expiresAt"),
  field("first_artifact", "$.artifacts[0].id"),
  // Listing the living, all, or those that a filter leaves: the filters are evaluated in the index.
  "CREATE INDEX sandboxes_living ON sandboxes (created_at) WHERE living = 1",
  `CREATE INDEX sandboxes_created ON sandboxes
    (created_at, state, profile, extension, mode, host, first_artifact)`,
  "CREATE INDEX sandboxes_name ON sandboxes (name, created_at)",
  "CREATE INDEX sandboxes_state ON sandboxes (state, expires_at)",
  // An older supervisor's INSERT leaves the column out: the trigger gives it its value for every version.
  "ALTER TABLE claims ADD COLUMN requested INTEGER NOT NULL DEFAULT 0",
  `UPDATE claims SET requested = ${requestedPosition("claims.sandbox_id")}`,
  `CREATE TRIGGER claims_requested AFTER INSERT ON claims BEGIN
    UPDATE claims SET requested = ${requestedPosition("NEW.sandbox_id")} WHERE ticket = NEW.ticket;
  END`,
  "CREATE INDEX claims_line ON claims (resource, held, requested)"
]

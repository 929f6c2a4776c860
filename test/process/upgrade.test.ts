/** A newer version is used while an older one carries something through. */
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import BetterSqlite3 from "better-sqlite3"
import { waitFor } from "../support/patience.js"
import { it } from "./harness.js"

const place = "Provisioning with"

describe("a database that a newer version migrates", () => {
  it("does not disturb the supervisor and the command that already use it", async ({ lab }) => {
    lab.hold(place)
    const create = lab.create("demo")
    await lab.held(place)
    const supervisor = await lab.supervisor()
    // What a migration may do: it adds, and changes nothing that is there.
    const database = new BetterSqlite3(join(lab.home, "sandboxer.db"))
    database.exec(`BEGIN IMMEDIATE;
      CREATE TABLE novelties (id TEXT PRIMARY KEY);
      ALTER TABLE sandboxes ADD COLUMN novelty TEXT NOT NULL DEFAULT 'new';
      ALTER TABLE events ADD COLUMN novelty TEXT;
      CREATE INDEX sandboxes_novelty ON sandboxes (novelty);
      INSERT INTO effect_sql_migrations (migration_id, name) VALUES (9999, 'novelties');
      COMMIT`)

    // Who comes now is too old; who is there is not asked.
    const late = await lab.run(["wait", "demo"])
    expect(late.exitCode).toBe(15)
    expect(late.stderr).toContain("a newer version wrote it")
    const beat = () => database.prepare("SELECT beat FROM leases").pluck().get() as number
    const before = beat()
    await waitFor("a heartbeat of the supervisor", () => beat() > before)
    expect(await lab.supervisor()).toBe(supervisor)

    lab.release(place)
    const { exitCode, sandbox, stderr } = await create.outcome()
    expect(exitCode, stderr).toBe(0)
    expect(sandbox).toMatchObject({ state: "ready", attempt: 1 })
    expect(database.prepare("SELECT novelty FROM sandboxes").pluck().all()).toEqual(["new"])
    const types = database.prepare("SELECT json_extract(document, '$.type') FROM events").pluck().all()
    expect(types.at(-1)).toBe("ready")
    expect(types).not.toContain("taken-over")
    expect(database.pragma("integrity_check", { simple: true })).toBe("ok")
    database.close()
  })
})

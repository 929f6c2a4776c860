/** Fifty builds at once load this machine so much that nothing is to run beside them. The stand-in for Packer will do. */
import { join } from "node:path"
import { expect } from "@effect/vitest"
import Database from "better-sqlite3"
import { it, type SandboxJson } from "../process/harness.js"
import { waitFor } from "../support/patience.js"

/** What a stand-in comes to in each build, and two names for it: each holds one build, once. */
const places = ["Provisioning with", "Provisioning"]

it("a host with two slots runs fifty builds in order, never more than two at a time", async ({ lab }) => {
  lab.write(".config/sandboxer/config.yaml", { hosts: { local: { slots: 2 } } })
  const create = (number: number) =>
    lab.json<SandboxJson>("create", "--profile", "profile.tiny", "-i", `vm_name=vm-${number}`, "--detach")
  const numbers = Array.from({ length: 50 }, (_, number) => number)
  for (const place of places) lab.hold(place)
  const made = await Promise.all(numbers.slice(0, 2).map(create))
  for (const place of places) await lab.held(place)
  made.push(...(await Promise.all(numbers.slice(2).map(create))))

  const database = new Database(join(lab.home, "sandboxer.db"), { readonly: true })
  const events = database.prepare<[], { id: string; phase: string | null; type: string }>(
    "SELECT sandbox_id AS id, document ->> 'phase' AS phase, document ->> 'type' AS type FROM events ORDER BY position"
  )
  const queued = () => new Set(events.all().flatMap(({ id, type }) => (type === "queued" ? [id] : [])))
  for (const { id, name } of made.slice(2)) await waitFor(`${name} in the queue`, () => queued().has(id))
  for (const place of places) lab.release(place)
  const ended = await Promise.all(made.map(({ id }) => lab.json<SandboxJson>("wait", id)))
  expect(new Set(ended.map(({ state }) => state))).toEqual(new Set(["ready"]))
  expect(lab.calls("packer", "build")).toHaveLength(50)
  await lab.quiet()

  // Counted in the order of the database's own transactions.
  const all = events.all()
  database.close()
  let running = 0
  let most = 0
  for (const { phase, type } of all) {
    if (type === "phase" && phase === "preflight") running++
    if (type === "ready") running--
    most = Math.max(most, running)
  }
  expect(most).toBe(2)
  const requested = all.flatMap(({ id, type }) => (type === "requested" ? [id] : []))
  const began = all.flatMap(({ id, phase, type }) => (type === "phase" && phase === "preflight" ? [id] : []))
  // Each had its turn; how soon a process said so is another matter.
  const late = began.map((id, place) => Math.abs(place - requested.indexOf(id)))
  expect(Math.max(...late)).toBeLessThanOrEqual(5)
})

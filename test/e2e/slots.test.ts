/** Fifty builds at once load this machine so much that nothing is to run beside them. The stand-in for Packer will do. */
import { join } from "node:path"
import { expect } from "@effect/vitest"
import Database from "better-sqlite3"
import { it, type SandboxJson } from "../process/harness.js"

it("a host of two slots takes fifty builds at once, and never more than two of them at a time", {
  timeout: 300_000
}, async ({ lab }) => {
  lab.write(".config/sandboxer/config.yaml", { hosts: { local: { slots: 2 } } })
  const names = Array.from({ length: 50 }, (_, index) => `vm-${index}`)
  const made = await Promise.all(
    names.map((name) =>
      lab.json<SandboxJson>("create", "--profile", "profile.tiny", "-i", `vm_name=${name}`, "--detach")
    )
  )
  const ended = await Promise.all(
    made.map(async ({ id }) => ({ id, sandbox: await lab.json<SandboxJson>("wait", id) }))
  )
  expect(new Set(ended.map(({ sandbox }) => sandbox.state))).toEqual(new Set(["ready"]))
  expect(lab.calls("packer", "build")).toHaveLength(50)
  await lab.quiet()
  const database = new Database(join(lab.home, "sandboxer.db"), { readonly: true })
  const rows = database
    .prepare<[], { id: string; document: string }>(
      "SELECT sandbox_id AS id, document FROM events ORDER BY position"
    )
    .all()
  database.close()
  // Counted in the order of the database's own transactions.
  let running = 0
  let most = 0
  for (const { document } of rows) {
    const { phase, type } = JSON.parse(document) as { phase: string | null; type: string }
    if (type === "phase" && phase === "preflight") running++
    if (type === "ready") running--
    most = Math.max(most, running)
  }
  expect(most).toBe(2)
})

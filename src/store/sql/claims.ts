/** Claims: who holds a resource, and who waits for it. */
import * as Effect from "effect/Effect"
import type { SandboxId } from "../../domain/Sandbox.js"
import { type Claimant, isNext, type SandboxStoreShape } from "../SandboxStore.js"
import type { Leases } from "./leases.js"
import type { Rows } from "./rows.js"

export const makeClaims = (
  { run, sql, transaction }: Rows,
  fenced: Leases["fenced"]
): Pick<SandboxStoreShape, "claim" | "claimants"> => {
  const line = (resource: string) =>
    Effect.map(
      sql<{ readonly id: SandboxId; readonly name: string; readonly held: number }>`
        SELECT sandboxes.id, name, held FROM claims JOIN sandboxes ON sandboxes.id = claims.sandbox_id
        WHERE resource = ${resource}
        ORDER BY held DESC, (
          SELECT max(position) FROM events
          WHERE events.sandbox_id = sandboxes.id AND document ->> 'type' = 'requested'
        )`,
      (rows) => rows.map(({ held, id, name }): Claimant => ({ id, name, holds: held === 1 }))
    )

  return {
    claim: (lease, resource, capacity) =>
      transaction(
        Effect.gen(function* () {
          yield* fenced(lease)
          yield* sql`INSERT INTO claims (sandbox_id, resource, held) VALUES (${lease.id}, ${resource}, 0)
            ON CONFLICT DO NOTHING`
          if (isNext(lease.id, capacity, yield* line(resource))) {
            yield* sql`UPDATE claims SET held = 1 WHERE sandbox_id = ${lease.id} AND resource = ${resource}`
          }
        })
      ),
    claimants: (resource) => run(line(resource))
  }
}

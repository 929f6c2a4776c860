/** Claims: who holds a resource, and who waits for it. */
import * as Effect from "effect/Effect"
import type { SandboxId } from "../../domain/Sandbox.js"
import type { Place, SandboxStoreShape } from "../SandboxStore.js"
import type { Leases } from "./leases.js"
import type { Query, Rows } from "./rows.js"

export const makeClaims = (
  { run, sql, transaction }: Rows,
  fenced: Leases["fenced"]
): Pick<SandboxStoreShape, "claim" | "place"> => {
  /** Those who hold come first, then those who wait, in the order in which they were requested. */
  const placeOf = (id: SandboxId, resource: string, capacity: number): Query<Place | undefined> =>
    Effect.gen(function* () {
      const [own] = yield* sql<{
        readonly held: number
        readonly requested: number
        readonly ticket: number
      }>`SELECT held, requested, ticket FROM claims WHERE resource = ${resource} AND sandbox_id = ${id}`
      if (own === undefined) return undefined
      const { held, requested, ticket } = own
      if (held === 1) return { holds: true, isNext: false, ahead: 0, first: [] }
      const earlier = sql`resource = ${resource} AND held = 0 AND (requested, ticket) < (${requested}, ${ticket})`
      const [counted] = yield* sql<{ readonly holding: number; readonly waiting: number }>`SELECT
          (SELECT count(*) FROM claims WHERE resource = ${resource} AND held = 1) AS holding,
          (SELECT count(*) FROM claims WHERE ${earlier}) AS waiting`
      const { holding, waiting } = counted ?? { holding: 0, waiting: 0 }
      const first = yield* sql<{ readonly id: SandboxId; readonly name: string }>`
        SELECT sandboxes.id, name FROM (
          SELECT * FROM (
            SELECT sandbox_id, 0 AS waits, requested FROM claims WHERE resource = ${resource} AND held = 1
            ORDER BY requested LIMIT ${capacity}
          ) UNION ALL SELECT * FROM (
            SELECT sandbox_id, 1 AS waits, requested FROM claims WHERE ${earlier}
            ORDER BY requested LIMIT ${capacity}
          )
        ) AS line JOIN sandboxes ON sandboxes.id = line.sandbox_id
        ORDER BY waits, requested LIMIT ${capacity}`
      return { holds: false, isNext: holding < capacity && waiting === 0, ahead: holding + waiting, first }
    })

  return {
    claim: (lease, resource, capacity) =>
      transaction(
        Effect.gen(function* () {
          yield* fenced(lease)
          yield* sql`INSERT INTO claims (sandbox_id, resource, held) VALUES (${lease.id}, ${resource}, 0)
            ON CONFLICT DO NOTHING`
          const place = yield* placeOf(lease.id, resource, capacity)
          if (place?.isNext === true) {
            yield* sql`UPDATE claims SET held = 1 WHERE sandbox_id = ${lease.id} AND resource = ${resource}`
          }
        })
      ),
    place: (id, resource, capacity) => run(placeOf(id, resource, capacity))
  }
}

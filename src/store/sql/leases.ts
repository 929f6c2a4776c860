/** Leases: who supervises a sandbox, and the fence against those who did. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Holder } from "../../domain/Holder.js"
import type { SandboxId } from "../../domain/Sandbox.js"
import { type Lease, type SandboxStoreShape, StoreError } from "../SandboxStore.js"
import { optional, type Query, type Rows } from "./rows.js"

export interface Leases extends Pick<SandboxStoreShape, "lease" | "takeLease" | "releaseLease"> {
  /** Fails with `lease-lost` where the lease has a newer term. */
  readonly fenced: (lease: Lease) => Query<void>
  readonly heartbeat: (id: SandboxId) => Query<void>
}

export const makeLeases = ({ documents, run, sql, transaction }: Rows): Leases => {
  const holders = documents(Schema.NullOr(Holder))

  const current = (id: SandboxId) =>
    Effect.flatMap(
      sql<{ readonly term: number; readonly holder: string; readonly beat: number }>`
        SELECT term, holder, beat FROM leases WHERE sandbox_id = ${id}`,
      optional(({ beat, holder, term }) =>
        Effect.map(holders.read(holder), (known) => ({ term, beat, holder: known }))
      )
    )

  return {
    fenced: ({ id, term }) =>
      Effect.gen(function* () {
        const [row] = yield* sql<{ readonly term: number }>`SELECT term FROM leases WHERE sandbox_id = ${id}`
        if (row?.term !== term) {
          return yield* new StoreError({
            reason: "lease-lost",
            message: `another supervisor took ${id} over`,
            hint: `follow it with \`sandboxer watch ${id}\``
          })
        }
      }),
    heartbeat: (id) => Effect.asVoid(sql`UPDATE leases SET beat = beat + 1 WHERE sandbox_id = ${id}`),
    lease: (id) => run(current(id)),
    takeLease: (id, holder, seen) =>
      transaction(
        Effect.gen(function* () {
          const before = yield* current(id)
          if (before?.term !== seen) return undefined
          const known = yield* sql`SELECT 1 FROM sandboxes WHERE id = ${id}`
          if (known.length === 0) {
            return yield* new StoreError({
              reason: "other",
              message: `no sandbox ${id}`,
              hint: "`sandboxer list --all` shows all"
            })
          }
          const term = (seen ?? 0) + 1
          yield* sql`INSERT INTO leases (sandbox_id, term, holder, beat)
            VALUES (${id}, ${term}, ${yield* holders.write(holder)}, 0)
            ON CONFLICT (sandbox_id) DO UPDATE SET term = excluded.term, holder = excluded.holder, beat = 0`
          return { id, term }
        })
      ),
    releaseLease: ({ id, term }) =>
      run(
        Effect.asVoid(sql`
          UPDATE leases SET holder = 'null' WHERE sandbox_id = ${id} AND term = ${term} AND holder <> 'null'`)
      )
  }
}

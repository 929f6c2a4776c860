/** Leases in rows of the database, and the fence against supervisors that lost theirs. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Holder } from "../../domain/Holder.js"
import type { SandboxId } from "../../domain/Sandbox.js"
import type { LeaseStorage } from "../Lease.js"
import { type Lease, type SandboxStoreShape, StoreError } from "../SandboxStore.js"
import type { Query, Rows } from "./rows.js"

type Found = Query<ReadonlyArray<unknown>>

/** A lease in one row. Each statement finds its row by the term too, so it decides and writes in one step. */
export const leaseInRow = (
  { documents, run }: Rows,
  statements: {
    readonly read: Query<
      ReadonlyArray<{ readonly term: number; readonly holder: string; readonly heartbeat: number }>
    >
    /** `take` and `renew` return the row that they changed. */
    readonly take: (holder: string, seen: number) => Found
    readonly renew: (term: number) => Found
    readonly release: (term: number) => Found
  }
): LeaseStorage<StoreError> => {
  const holders = documents(Schema.NullOr(Holder))
  const isFound = (query: Found) => run(Effect.map(query, ({ length }) => length > 0))
  return {
    read: run(
      Effect.flatMap(statements.read, ([row]) =>
        row === undefined
          ? Effect.succeed({ term: 0, holder: null, heartbeat: 0 })
          : Effect.map(holders.read(row.holder), (holder) => ({ ...row, holder }))
      )
    ),
    take: (holder, seen) =>
      isFound(Effect.flatMap(holders.write(holder), (text) => statements.take(text, seen))),
    renew: (term) => isFound(statements.renew(term)),
    release: (term) => Effect.asVoid(run(statements.release(term)))
  }
}

export interface Leases extends Pick<SandboxStoreShape, "lease"> {
  /** Fails with `lease-lost` where the lease has a newer term. */
  readonly fenced: (lease: Lease) => Query<void>
}

export const makeLeases = (rows: Rows): Leases => {
  const { sql } = rows
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
    lease: (id: SandboxId) =>
      leaseInRow(rows, {
        read: sql`SELECT term, holder, beat AS heartbeat FROM leases WHERE sandbox_id = ${id}`,
        take: (holder, seen) =>
          Effect.gen(function* () {
            const known = yield* sql`SELECT 1 FROM sandboxes WHERE id = ${id}`
            if (known.length === 0) {
              return yield* new StoreError({
                reason: "other",
                message: `no sandbox ${id}`,
                hint: "`sandboxer list --all` shows all"
              })
            }
            return yield* sql`
              INSERT INTO leases (sandbox_id, term, holder, beat) VALUES (${id}, ${seen + 1}, ${holder}, 0)
              ON CONFLICT (sandbox_id) DO UPDATE SET term = excluded.term, holder = excluded.holder, beat = 0
              WHERE leases.term = ${seen} RETURNING term`
          }),
        renew: (term) => sql`
          UPDATE leases SET beat = beat + 1 WHERE sandbox_id = ${id} AND term = ${term} RETURNING term`,
        release: (term) => sql`
          UPDATE leases SET holder = 'null' WHERE sandbox_id = ${id} AND term = ${term} AND holder <> 'null'`
      })
  }
}

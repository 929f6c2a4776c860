/** Records of sandboxes and their plans. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { Plan } from "../../domain/Plan.js"
import {
  change,
  hasEnded,
  isLiving,
  Sandbox,
  type SandboxChange,
  type SandboxId
} from "../../domain/Sandbox.js"
import type { SandboxStoreShape } from "../SandboxStore.js"
import { optional, type Query, type Rows } from "./rows.js"

export interface Records
  extends Pick<
    SandboxStoreShape,
    "get" | "plan" | "list" | "count" | "named" | "idsWith" | "names" | "freeName"
  > {
  readonly record: (id: SandboxId) => Query<Sandbox | undefined>
  readonly planOf: (id: SandboxId) => Query<Plan | undefined>
  /** The id of the living sandbox that has a name. */
  readonly livingAs: (name: string) => Query<SandboxId | undefined>
  readonly insert: (sandbox: Sandbox, plan: Plan) => Query<void>
  readonly update: (id: SandboxId, fields: SandboxChange) => Query<void>
}

export const makeRecords = ({ documents, run, sql }: Rows): Records => {
  const records = documents(Sandbox)
  const plans = documents(Plan)

  const record: Records["record"] = (id) =>
    Effect.flatMap(
      sql<{ readonly document: string }>`SELECT document FROM sandboxes WHERE id = ${id}`,
      optional(({ document }) => records.read(document))
    )
  const planOf: Records["planOf"] = (id) =>
    Effect.flatMap(
      sql<{ readonly plan: string }>`SELECT plan FROM sandboxes WHERE id = ${id}`,
      optional(({ plan }) => plans.read(plan))
    )

  return {
    record,
    planOf,
    livingAs: (name) =>
      Effect.map(
        sql<{ readonly id: SandboxId }>`SELECT id FROM sandboxes WHERE name = ${name} AND living = 1`,
        ([row]) => row?.id
      ),
    insert: (sandbox, plan) =>
      Effect.gen(function* () {
        yield* sql`INSERT INTO sandboxes (id, name, living, created_at, document, plan)
          VALUES (${sandbox.id}, ${sandbox.name}, 1, ${DateTime.formatIso(sandbox.createdAt)},
            ${yield* records.write(sandbox)}, ${yield* plans.write(plan)})`
      }),
    update: (id, fields) =>
      Effect.gen(function* () {
        const before = yield* record(id)
        if (before === undefined) return
        const after = change(before, fields)
        yield* sql`UPDATE sandboxes SET name = ${after.name}, living = ${isLiving(after.state) ? 1 : 0},
          document = ${yield* records.write(after)} WHERE id = ${id}`
        if (hasEnded(after.state)) yield* sql`DELETE FROM claims WHERE sandbox_id = ${id}`
      }),
    get: (id) => run(record(id)),
    plan: (id) => run(planOf(id)),
    list: ({ due, living, states, where = [], withArtifacts } = {}) => {
      const conditions = [
        ...(living === true ? [sql`living = 1`] : []),
        ...(states === undefined ? [] : [sql.in("state", states)]),
        ...(withArtifacts === true ? [sql`first_artifact IS NOT NULL`] : []),
        ...(due === undefined
          ? []
          : [
              sql`(state = 'destroying' OR (
                state IN ('ready', 'failed', 'cancelled', 'destroyed') AND expires_at <= ${DateTime.formatIso(due)}
              ))`
            ]),
        ...where.map(([name, value]) => sql`${sql(name)} = ${value}`)
      ]
      const filter = conditions.length === 0 ? sql`` : sql`WHERE ${sql.and(conditions)}`
      return run(
        Effect.flatMap(
          sql<{
            readonly document: string
          }>`SELECT document FROM sandboxes ${filter} ORDER BY created_at, rowid`,
          Effect.forEach(({ document }) => records.read(document))
        )
      )
    },
    count: run(
      Effect.map(
        sql<{ readonly number: number }>`SELECT count(*) AS number FROM sandboxes`,
        ([row]) => row?.number ?? 0
      )
    ),
    named: (name) =>
      run(
        Effect.gen(function* () {
          const [living] = yield* sql<{ readonly document: string }>`
            SELECT document FROM sandboxes WHERE name = ${name} AND living = 1`
          const found =
            living === undefined
              ? yield* sql<{ readonly document: string }>`
                  SELECT document FROM sandboxes WHERE name = ${name} ORDER BY created_at DESC, rowid DESC LIMIT 1`
              : [living]
          return yield* optional(({ document }: { readonly document: string }) => records.read(document))(
            found
          )
        })
      ),
    idsWith: (prefix) =>
      run(
        Effect.map(
          // `g` comes after every hexadecimal digit.
          sql<{ readonly id: SandboxId }>`SELECT id FROM sandboxes
            WHERE id >= ${prefix} AND id < ${`${prefix}g`} ORDER BY created_at DESC, rowid DESC`,
          (rows) => rows.map(({ id }) => id)
        )
      ),
    names: (newest) =>
      run(
        Effect.map(
          sql<{ readonly name: string }>`
            SELECT name FROM sandboxes ORDER BY created_at DESC, rowid DESC LIMIT ${newest}`,
          (rows) => new Set(rows.map(({ name }) => name))
        )
      ),
    freeName: (wanted) =>
      run(
        Effect.map(
          sql<{ readonly number: number }>`WITH RECURSIVE numbers (n) AS (
              SELECT 1 UNION ALL
              SELECT n + 1 FROM numbers WHERE EXISTS (
                SELECT 1 FROM sandboxes
                WHERE living = 1 AND name = CASE n WHEN 1 THEN ${wanted} ELSE ${wanted} || '-' || n END
              )
            ) SELECT max(n) AS number FROM numbers`,
          ([row]) => (row === undefined || row.number === 1 ? wanted : `${wanted}-${row.number}`)
        )
      )
  }
}

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

export interface Records extends Pick<SandboxStoreShape, "get" | "plan" | "list" | "takenNames"> {
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
    list: run(
      Effect.flatMap(
        sql<{ readonly document: string }>`SELECT document FROM sandboxes ORDER BY created_at, rowid`,
        Effect.forEach(({ document }) => records.read(document))
      )
    ),
    takenNames: run(
      Effect.map(
        sql<{ readonly name: string }>`SELECT name FROM sandboxes WHERE living = 1`,
        (rows) => new Set(rows.map(({ name }) => name))
      )
    )
  }
}

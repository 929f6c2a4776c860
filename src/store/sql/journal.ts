/** The journal of recipes: their steps, and how far the log has come. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { HostPathFromString } from "../../domain/HostPath.js"
import type { SandboxId } from "../../domain/Sandbox.js"
import type { LogPosition, SandboxStoreShape, Step } from "../SandboxStore.js"
import { optional, type Query, type Rows } from "./rows.js"

const StepDocument = Schema.Struct({
  attempt: Schema.Int,
  key: Schema.String,
  job: Schema.NullOr(Schema.Struct({ folder: HostPathFromString, stop: Schema.Literal("leader", "group") })),
  result: Schema.NullOr(Schema.Struct({ value: Schema.Unknown }))
})
const LogDocument = Schema.Struct({
  attempt: Schema.optional(Schema.Int),
  path: Schema.String,
  length: Schema.Number,
  offsets: Schema.Record({ key: Schema.String, value: Schema.Number }),
  earlier: Schema.optional(Schema.Array(Schema.String))
})

export interface Journal extends Pick<SandboxStoreShape, "steps" | "log"> {
  readonly writeStep: (id: SandboxId, step: Step) => Query<void>
  readonly writeLog: (id: SandboxId, log: LogPosition) => Query<void>
}

export const makeJournal = ({ documents, run, sql }: Rows): Journal => {
  const steps = documents(StepDocument)
  const logs = documents(LogDocument)
  return {
    writeStep: (id, step) =>
      Effect.gen(function* () {
        yield* sql`INSERT INTO steps (sandbox_id, attempt, key, document)
          VALUES (${id}, ${step.attempt}, ${step.key}, ${yield* steps.write(step)})
          ON CONFLICT (sandbox_id, attempt, key) DO UPDATE SET document = excluded.document`
      }),
    writeLog: (id, log) =>
      Effect.gen(function* () {
        yield* sql`INSERT INTO logs (sandbox_id, document) VALUES (${id}, ${yield* logs.write(log)})
          ON CONFLICT (sandbox_id) DO UPDATE SET document = excluded.document`
      }),
    steps: (id, attempt) =>
      run(
        Effect.flatMap(
          sql<{ readonly document: string }>`
            SELECT document FROM steps WHERE sandbox_id = ${id} AND attempt = ${attempt} ORDER BY rowid`,
          Effect.forEach(({ document }) => steps.read(document))
        )
      ),
    log: (id) =>
      run(
        Effect.flatMap(
          sql<{ readonly document: string }>`SELECT document FROM logs WHERE sandbox_id = ${id}`,
          optional(({ document }) => logs.read(document))
        )
      )
  }
}

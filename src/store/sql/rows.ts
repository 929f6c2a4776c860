/** How the parts of the store read and write rows. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { databaseError } from "../../internal/DatabaseError.js"
import { StoreError } from "../SandboxStore.js"

/** A statement, or several that make one, in or outside of a transaction. */
export type Query<A> = Effect.Effect<A, SqlError | StoreError>

/** Documents of one kind. */
export interface Documents<A> {
  readonly read: (text: string) => Effect.Effect<A, StoreError>
  readonly write: (value: A) => Effect.Effect<string>
}

export interface Rows {
  readonly sql: SqlClient.SqlClient
  readonly documents: <A, I>(schema: Schema.Schema<A, I>) => Documents<A>
  readonly run: <A>(query: Query<A>) => Effect.Effect<A, StoreError>
  /** All of it is written, or nothing. */
  readonly transaction: <A>(query: Query<A>) => Effect.Effect<A, StoreError>
}

/** What is read of a row that may be missing. */
export const optional =
  <Row, A>(read: (row: Row) => Query<A>) =>
  ([row]: ReadonlyArray<Row>): Query<A | undefined> =>
    row === undefined ? Effect.as(Effect.void, undefined) : read(row)

const documents = <A, I>(schema: Schema.Schema<A, I>): Documents<A> => {
  const json = Schema.parseJson(schema)
  // The same document is mostly read a few times in a row.
  let last: { readonly text: string; readonly value: A } | undefined
  return {
    read: (text) =>
      last?.text === text
        ? Effect.succeed(last.value)
        : Effect.mapBoth(Schema.decode(json)(text), {
            onFailure: ({ message }) =>
              new StoreError({
                reason: "damaged",
                message: `a record cannot be read: ${message}`,
                hint: "restore a backup of the database"
              }),
            onSuccess: (value) => {
              last = { text, value }
              return value
            }
          }),
    write: (value) =>
      Effect.map(Effect.orDie(Schema.encode(json)(value)), (text) => {
        last = { text, value }
        return text
      })
  }
}

export const makeRows = (filename: string): Effect.Effect<Rows, never, SqlClient.SqlClient> =>
  Effect.map(SqlClient.SqlClient, (sql) => {
    const run: Rows["run"] = (query) =>
      Effect.mapError(query, (error) => {
        if (error._tag === "StoreError") return error
        const { hint, message, reason } = databaseError(filename)(error)
        return new StoreError({ reason, message, hint })
      })
    return { sql, documents, run, transaction: (query) => run(sql.withTransaction(query)) }
  })

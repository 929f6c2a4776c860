import * as Schema from "effect/Schema"
import { Details, event } from "./Kind.js"

const Stored = event(Schema.String, Schema.NullOr(Schema.String), Details)

/**
 * An event that this version does not know: another version, or an extension's program, stored it with the type
 * `storedType`. It is shown as it is; in JSON its type is `storedType`.
 */
export const Other = Schema.transform(
  Stored,
  Schema.typeSchema(
    Schema.Struct({ ...Stored.fields, type: Schema.Literal("other"), storedType: Schema.String })
  ),
  {
    strict: true,
    decode: (stored) => ({ ...stored, type: "other" as const, storedType: stored.type }),
    encode: ({ storedType, ...other }) => ({ ...other, type: storedType })
  }
)

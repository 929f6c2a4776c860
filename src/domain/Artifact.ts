import * as Schema from "effect/Schema"

/** An artifact's id: 12 hexadecimal digits. */
export const ArtifactId = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{12}$/), Schema.brand("ArtifactId"))
export type ArtifactId = typeof ArtifactId.Type

/**
 * A file that a provision made and published. `format` is the format that the file really has (`qcow2`, `raw`, `vmdk`,
 * …), `path` is absolute on this machine, `sha256` is in hexadecimal. One artifact of a sandbox is primary.
 * @category model
 */
export const Artifact = Schema.Struct({
  id: ArtifactId,
  name: Schema.String,
  path: Schema.String,
  format: Schema.String,
  sizeBytes: Schema.Number,
  sha256: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)),
  primary: Schema.Boolean
})
export type Artifact = typeof Artifact.Type

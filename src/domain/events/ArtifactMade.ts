import * as Schema from "effect/Schema"
import type { Artifact } from "../Artifact.js"
import { kind, type New } from "./Kind.js"

/** An artifact was published. */
export const ArtifactMade = kind(
  "artifact",
  Schema.Struct({ name: Schema.String, sizeBytes: Schema.Number, sha256: Schema.String })
)
export type NewArtifactMade = New<typeof ArtifactMade, { readonly attempt: number }>

export const artifactMade = (
  attempt: number,
  { name, path, sha256, sizeBytes }: Artifact
): NewArtifactMade => ({
  type: "artifact",
  phase: null,
  message: `made ${path}`,
  data: { name, sizeBytes, sha256 },
  occurrence: { attempt }
})

/** A hub that is a local file: each note a line of JSON, private to the user. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Note } from "../../../domain/Note.js"
import { Settings } from "../../../settings/Settings.js"
import { HubError, StateHub } from "../StateHub.js"

const encode = Schema.encodeSync(Schema.parseJson(Note))

/** @category layers */
export const layer = Layer.effect(
  StateHub,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { home } = yield* Settings
    const file = path.join(home, "notes.ndjson")
    return {
      publish: (notes) =>
        Effect.mapError(
          fs.writeFileString(file, notes.map((note) => `${encode(note)}\n`).join(""), {
            flag: "a",
            mode: 0o600
          }),
          (error) =>
            new HubError({
              reason: "unavailable",
              message: `the journal of notes cannot be written: ${error.message}`,
              hint: "check the disk's space and the state directory's permissions"
            })
        )
    }
  })
)

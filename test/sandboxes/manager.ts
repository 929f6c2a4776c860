/** A manager over profiles of a folder of its own, whose supervisors never begin. */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { StateHub } from "../../src/hub/client/StateHub.js"
import * as ProfilesDirectory from "../../src/profiles/directory/ProfilesDirectory.js"
import { Supervisors } from "../../src/provisioning/Supervisors.js"
import type { Extension } from "../../src/recipe/Extension.js"
import * as Sandboxes from "../../src/sandboxes/Sandboxes.js"
import { layerHome } from "../../src/settings/Settings.js"
import { platform, temporaryFolder, world } from "../support/inMemory.js"

export const manager = (
  extension: Extension,
  profiles: Readonly<Record<string, string>>,
  hub: Layer.Layer<StateHub> | Layer.Layer<never> = Layer.empty
) =>
  Effect.gen(function* () {
    const made = yield* world({ extensions: [extension] })
    const folder = yield* temporaryFolder
    for (const [name, text] of Object.entries(profiles)) {
      mkdirSync(dirname(`${folder}/${name}`), { recursive: true })
      writeFileSync(`${folder}/${name}`, text)
    }
    const settings = layerHome(made.home, { profileFolders: [{ path: folder, origin: "shipped" }] })
    const context = yield* Layer.build(
      Sandboxes.layer.pipe(
        Layer.provide(Layer.succeed(Supervisors, { start: () => Effect.void, ended: () => Effect.never })),
        Layer.provide(Layer.provideMerge(ProfilesDirectory.layer, settings)),
        Layer.provide(Layer.merge(made.services(1), hub))
      )
    )
    return { ...made, folder, sandboxes: Context.get(context, Sandboxes.Sandboxes) }
  }).pipe(Effect.provide(platform))

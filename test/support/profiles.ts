/** Profiles of a folder of its own, and an extension for them. */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InputDeclarations } from "../../src/domain/Input.js"
import * as ProfilesDirectory from "../../src/profiles/directory/ProfilesDirectory.js"
import { Profiles } from "../../src/profiles/Profiles.js"
import { type Extension, layerExtensions } from "../../src/recipe/Extension.js"
import { layerHome } from "../../src/settings/Settings.js"
import { platform, temporaryFolder } from "./inMemory.js"

const inputs: InputDeclarations = {
  vm_name: { type: "string", required: true, pattern: "[a-z]+", description: "The name" },
  template: { type: "path", exists: true },
  files: { type: "list", items: "path", exists: true },
  size: { type: "size", default: "1 GiB", env: "SIZE", choices: ["1073741824", "2147483648"] },
  output: { type: "path" },
  password: { type: "secret" }
}

const mode = (declared: InputDeclarations) => ({
  description: "A mode of a test",
  inputs: declared,
  plan: () => Effect.succeed({ encoded: {}, description: [], defaultName: undefined }),
  provision: () => Effect.succeed({ artifacts: [], endpoint: null })
})

const extension: Extension = {
  id: "ext.test",
  description: "An extension of a test",
  modes: { make: mode(inputs), other: mode({ host: { type: "string" } }) }
}

export const extensions = layerExtensions([extension])

/** Writes files below a folder of its own, where profiles are looked for; `folder` is it. */
export const profilesIn = (files: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(`${folder}/${name}`), { recursive: true })
      writeFileSync(`${folder}/${name}`, text)
    }
    const settings = layerHome(`${folder}/home`, { profileFolders: [{ path: folder, origin: "shipped" }] })
    const profiles = yield* Effect.provide(
      Profiles,
      ProfilesDirectory.layer.pipe(Layer.provide(settings), Layer.provide(platform))
    )
    return { folder, get: profiles.get, read: profiles.read }
  }).pipe(Effect.provide(platform))

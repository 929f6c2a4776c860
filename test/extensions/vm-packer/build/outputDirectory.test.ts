import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { PackerScripted } from "../../../../src/testing.js"
import { platform, temporaryFolder } from "../../../support/inMemory.js"
import { type BuildOptions, build, buildWorld } from "./buildWorld.js"

const one = PackerScripted.building({ qemu: { "output/demo": "an image" } })
const two = PackerScripted.building({
  "a:first": { "out/1.raw": "one" },
  "b.second": { "out/2.raw": "two" }
})

/** A folder with these files. */
const folderWith = (...names: ReadonlyArray<string>) =>
  Effect.map(temporaryFolder, (folder) => {
    for (const name of names) writeFileSync(`${folder}/${name}`, "the user's")
    return folder
  })

const into = (folder: string, inputs: BuildOptions["inputs"] = {}) => ({
  output_directory: folder,
  ...inputs
})

describe("an explicit output_directory", () => {
  it.scoped.each(["demo.raw", "demo.qcow2", "demo.ova.sha256", "demo-disk2.vmdk"])(
    "is refused before the build if it has %s",
    (name) =>
      Effect.gen(function* () {
        const folder = yield* folderWith(name)
        const { questions, record } = yield* build({ script: one, inputs: into(folder) })
        expect(record.failure).toMatchObject({
          reason: "output-exists",
          message: `${folder}/${name} exists already`,
          hint: "choose another output_directory, or replace the image: -i force=true"
        })
        expect(questions()).toEqual(["Version"])
        expect(readdirSync(folder)).toEqual([name])
      }).pipe(Effect.provide(platform))
  )

  it.scoped("may have images of other machines, and is made if it is missing", () =>
    Effect.gen(function* () {
      const others = ["demo-2.raw", "demo-other.raw", "demo.old.raw", "other.raw", "demo"]
      const folder = yield* folderWith(...others)
      expect((yield* build({ script: one, inputs: into(folder) })).record.failure).toBeNull()
      expect(readdirSync(folder).sort()).toEqual([...others, "demo.raw", "demo.raw.sha256"].sort())
      expect((yield* build({ script: one, inputs: into(`${folder}/new/one`) })).record.failure).toBeNull()
      expect(readFileSync(`${folder}/new/one/demo.raw`, "utf8")).toBe("an image")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is refused before the builds if it has an image of one of them", () =>
    Effect.gen(function* () {
      const folder = yield* folderWith("demo-b.second.raw")
      const { questions, record } = yield* build({ script: two, inputs: into(folder) })
      expect(record.failure).toMatchObject({ reason: "output-exists" })
      expect(record.failure?.message).toBe(`${folder}/demo-b.second.raw exists already`)
      expect(questions()).not.toContain("Build")
      const script = { ...one, builds: ["qemu", "b.second"] }
      const { record: alone } = yield* build({ script, inputs: into(folder, { only: ["qemu"] }) })
      expect(alone.failure).toBeNull()
    }).pipe(Effect.provide(platform))
  )

  it.scoped("has its image replaced with force", () =>
    Effect.gen(function* () {
      const folder = yield* folderWith("demo.raw")
      const { record } = yield* build({ script: one, inputs: into(folder, { force: true }) })
      expect(record.failure).toBeNull()
      expect(readFileSync(`${folder}/demo.raw`, "utf8")).toBe("an image")
    }).pipe(Effect.provide(platform))
  )

  it.scoped("is refused before the build if it is not a folder", () =>
    Effect.gen(function* () {
      const folder = yield* folderWith("file")
      const { questions, record } = yield* build({ script: one, inputs: into(`${folder}/file`) })
      expect(record.state).toBe("failed")
      expect(questions()).toEqual(["Version"])
    }).pipe(Effect.provide(platform))
  )

  it.scopedLive("may have the image of this provision after a supervisor died", () =>
    Effect.gen(function* () {
      const dying = (calls: number) =>
        Effect.gen(function* () {
          const folder = yield* folderWith()
          const made = yield* buildWorld({ script: one, inputs: into(folder) })
          const died = yield* made.superviseAndDie(1, 1, calls)
          return { ...made, folder, died, published: readdirSync(folder).includes("demo.raw") }
        })
      // The call after which the image exists.
      let [before, behind] = [1, 1024]
      while (behind - before > 1) {
        const calls = Math.floor((before + behind) / 2)
        const { published } = yield* Effect.scoped(dying(calls))
        if (published) behind = calls
        else before = calls
      }
      const made = yield* dying(behind)
      expect(made).toMatchObject({ died: true, published: true })
      yield* made.supervise(1, 2)
      expect(yield* made.get(1)).toMatchObject({ state: "ready", failure: null })
      expect(readdirSync(made.folder).sort()).toEqual(["demo.raw", "demo.raw.sha256"])
    }).pipe(Effect.provide(platform))
  )
})

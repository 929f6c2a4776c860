import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { makeWorkbench, root, sandboxOf, type Workbench } from "./harness.js"

let bench: Workbench
beforeAll(() => {
  bench = makeWorkbench()
})
afterAll(() => bench.remove())

interface Comparable {
  readonly type: string
  readonly phase: string | null
  readonly build: string | null
  readonly message: string
}

// Two builds run side by side: in which order they say something is left to chance.
const sorted = (events: ReadonlyArray<Comparable>) =>
  events.toSorted((a, b) => `${a.type}/${a.message}`.localeCompare(`${b.type}/${b.message}`))

const built = async (template: string) => {
  const created = await bench.sandboxer([
    "create",
    "--profile",
    "profile.vm-packer-build",
    "-i",
    `packer_template=${join(root, "test/data/twins", template)}`,
    "-i",
    "vm_name=twin",
    "-i",
    "format=as-built",
    "-i",
    "variables.text=The same, in both.",
    "-o",
    "json"
  ])
  expect(created).toMatchObject({ exitCode: 0 })
  const { artifacts, id, name, state } = sandboxOf(created)
  const events = await bench.events(id)
  return {
    name,
    state,
    images: artifacts.map(({ format, name: file, path, primary }) => ({
      file,
      format,
      primary,
      text: readFileSync(path, "utf8")
    })),
    events: events.map(
      (event): Comparable => ({
        type: event.type,
        phase: event.phase,
        build: event.type === "phase" ? (event.data.build ?? null) : null,
        message: event.message.replaceAll(id, "ID")
      })
    )
  }
}

// HCL2 calls a build by its type too.
const withoutType = (event: Comparable): Comparable => {
  const name = event.build?.split(".")[1]
  return event.build === null || name === undefined
    ? event
    : { ...event, build: name, message: event.message.replace(event.build, name) }
}

describe("the same template as JSON and as HCL2", () => {
  it("gives the same image and the same events, except for build names", async () => {
    const json = await built("twin.json")
    const hcl2 = await built("twin.pkr.hcl")
    expect([json.name, hcl2.name]).toEqual(["twin", "twin-2"])
    expect(json.state).toBe("ready")
    expect(json.images).toEqual([
      { file: "twin.txt", format: "txt", primary: true, text: "The same, in both.\n" }
    ])
    expect(hcl2.images).toEqual(json.images)
    expect(hcl2.events).toContainEqual({
      type: "phase",
      phase: "provision",
      build: "file.image",
      message: "file.image: provision"
    })
    expect(sorted(hcl2.events.map(withoutType))).toEqual(sorted(json.events))
  })
})

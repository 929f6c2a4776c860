/** A live build on a real hub: the two commands of docs/state-hub.md, and what the hub says of it to who asks. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import type { KeptNote } from "../../src/hub/server/HubApi.js"
import { fences } from "../support/documents.js"
import { waitFor } from "../support/patience.js"
import { makeWorkbench, type Running, root, start, type Workbench } from "./harness.js"

let bench: Workbench
let hub: Running
beforeAll(() => {
  bench = makeWorkbench()
  const file = join(bench.folder, "sandboxer")
  writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${root}dist/bin.js' "$@"\n`)
  chmodSync(file, 0o755)
})
afterAll(async () => {
  hub.kill("SIGTERM")
  expect((await hub.ended).exitCode).toBe(0)
  bench.remove()
})

/** Runs a line of the document, as it stands there but for the port. */
const type = (line: string) =>
  start("sh", ["-c", `exec ${line.replace(/^([A-Z_]+=\S+) /, "env $1 ")}`], {
    env: { SANDBOXER_HOME: bench.home, PATH: [bench.folder, process.env.PATH].join(delimiter) }
  })

const ends = ["ready", "failed", "cancelled"]

/** Reads the live stream to the end of a provision, cut off and taken up again behind each few notes. */
const follow = async (url: string) => {
  const seen: Array<{ readonly event: string; readonly note: KeptNote }> = []
  let connections = 0
  while (!ends.includes(seen.at(-1)?.note.event_type ?? "")) {
    connections++
    const cut = new AbortController()
    const last = seen.at(-1)?.event
    const { body } = await fetch(`${url}/notes/stream?cursor=0`, {
      signal: cut.signal,
      headers: last === undefined ? {} : { "last-event-id": last }
    })
    let [rest, read] = ["", 0]
    for await (const text of body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + text).split("\n\n")
      rest = blocks.pop() ?? ""
      for (const block of blocks) {
        const [, event, data] = /^id: (\d+)\ndata: (.*)$/.exec(block) ?? []
        if (event === undefined) continue
        seen.push({ event, note: JSON.parse(data!) as KeptNote })
        read++
      }
      if (read >= 3 || ends.includes(seen.at(-1)?.note.event_type ?? "")) break
    }
    cut.abort()
  }
  return { connections, notes: seen.map(({ note }) => note) }
}

it("a real build's notes, by query and by a stream that was cut, equal its journal", async () => {
  const [block] = fences.filter(
    ({ document, text }) => document === "docs/state-hub.md" && text.startsWith("sandboxer hub serve\n")
  )
  const [serving = "", creating = ""] = block?.text.split("\n") ?? []
  const printed = join(bench.folder, "url")
  hub = type(`${serving} --port 0 >'${printed}'`)
  const url = await waitFor(
    "its URL",
    () => existsSync(printed) && /^(http:\S+)\n/.exec(readFileSync(printed, "utf8"))?.[1]
  )
  expect(creating).toContain("http://127.0.0.1:8787")
  const created = type(creating.replace("http://127.0.0.1:8787", url))
  const { connections, notes } = await follow(url)
  const { exitCode, stderr } = await created.ended
  expect(exitCode, stderr).toBe(0)
  expect(connections).toBeGreaterThan(2)
  expect(notes.at(-1)?.event_type).toBe("ready")

  const { id } = await bench.show("demo")
  const asked = await fetch(`${url}/notes?sandbox=${id}`)
  expect(((await asked.json()) as { readonly items: ReadonlyArray<KeptNote> }).items).toEqual(notes)
  const failures = await fetch(`${url}/notes?sandbox=${id}&event_type=failed`)
  expect(await failures.json()).toEqual({ items: [], next: null })

  // Of heartbeats one a minute is told.
  const inJournal = (await bench.events("demo")).filter(({ type: of }) => of !== "note")
  const plainly = inJournal.filter(({ type: of }) => of !== "heartbeat")
  expect(notes.filter(({ event_type }) => event_type !== "heartbeat")).toMatchObject(
    plainly.map(({ phase, seq, type: of }) => ({ sequence: seq, event_type: of, phase }))
  )
  expect(plainly.map(({ type: of }) => of)).toEqual(
    expect.arrayContaining(["requested", "planned", "provisioning", "phase", "artifact", "ready"])
  )
  const { detail } = notes.find(({ event_type }) => event_type === "artifact")!
  const [image] = (await bench.show("demo")).artifacts
  expect(detail).toMatchObject({ name: image?.name, sizeBytes: image?.sizeBytes, sha256: image?.sha256 })
})

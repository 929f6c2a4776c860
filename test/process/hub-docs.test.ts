import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { expect } from "@effect/vitest"
import { fences } from "../support/documents.js"
import { waitFor } from "../support/patience.js"
import { it } from "./harness.js"

it("the commands of docs/state-hub.md that query a hub run", async ({ lab }) => {
  const blocks = fences.filter(({ document, says }) => document === "docs/state-hub.md" && says === "hub")
  const hub = lab.start(["hub", "serve", "--port", "0"])
  const url = await waitFor("a URL", () => /^(http:\S+)\n/.exec(hub.stdout())?.[1])
  const answers: Array<string> = []
  for (const { text } of blocks.filter(({ language }) => language === "sh")) {
    const env = { PATH: process.env.PATH, STATE_HUB_URL: url }
    answers.push((await promisify(execFile)("sh", ["-ec", text], { env })).stdout)
  }
  const said = blocks.find(({ language }) => language === "json")
  expect(JSON.parse(answers[0]!)).toEqual(JSON.parse(said!.text))
  expect(answers[1]).toContain('"next":null')
  expect(answers[1]?.match(/"position":1/g)).toHaveLength(2)
  expect(answers[2]).toMatch(/^id: 1\ndata: \{"position":1/m)
  expect(answers[3]).toContain("\nsandboxer_hub_notes_taken_total 1\n")
  expect(answers).toHaveLength(4)
})

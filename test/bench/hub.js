/**
 * Delivers many notes with several senders at once to a hub that sometimes fails, or accepts without its answer arriving. In the
 * second row, senders are also killed with SIGKILL at random points. Prints a Markdown table, and fails if a note is lost or
 * arrives out of order.
 *
 *   node test/bench/hub.js [--notes=10000] [--senders=8] [--seed=1]
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomFrom } from "../chaos/random.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
/** @type {typeof import("../../src/index.js")} */
const { Event, Plan, Sandbox, Settings } = await import(`${root}dist/index.js`)
/** @type {typeof import("../../src/store/SandboxStore.js")} */
const { SandboxStore } = await import(`${root}dist/store/SandboxStore.js`)
/** @type {typeof import("../../src/node.js")} */
const { layerStore } = await import(`${root}dist/node.js`)

const { values } = parseArgs({
  options: {
    notes: { type: "string", default: "10000" },
    senders: { type: "string", default: "8" },
    seed: { type: "string", default: "1" }
  }
})
const sandboxes = 20
const each = Math.ceil(Number(values.notes) / sandboxes)
const senders = Number(values.senders)

/** @param {number} n */
const idOf = (n) => Sandbox.SandboxId.make(n.toString(16).padStart(12, "0"))

/** Records events whose notes wait in the outbox. */
const fill = Effect.gen(function* () {
  const store = yield* SandboxStore
  for (let n = 1; n <= sandboxes; n++) {
    const about = { profile: "profile.bench", extension: "ext.bench", mode: "bench", inputs: {} }
    const events = Array.from({ length: each }, (_, index) =>
      Event.note({ attempt: 1, key: String(index), message: `note ${index}`, phase: null })
    )
    yield* store.create(
      new Sandbox.Sandbox({
        ...about,
        id: idOf(n),
        name: `bench-${n}`,
        state: "ready",
        placement: { host: "local" },
        createdAt: DateTime.unsafeMake(n),
        attempt: 1,
        artifacts: []
      }),
      new Plan.Plan({
        ...about,
        name: null,
        placement: { host: "local" },
        secrets: {},
        ttlSeconds: null,
        timeoutSeconds: null,
        heartbeatSeconds: 30,
        stallSeconds: null,
        hub: { workstream: "bench", task: null, notes: "all", everySeconds: 0 },
        description: [],
        spec: {}
      }),
      ...events
    )
  }
})

/** @param {boolean} kills */
const measure = async (kills) => {
  const home = mkdtempSync(join(tmpdir(), "sandboxer-bench-hub-"))
  const random = randomFrom(Number(values.seed))
  await Effect.runPromise(
    Effect.provide(
      fill,
      layerStore.pipe(Layer.provide(Settings.layerHome(home)), Layer.provide(NodeContext.layer))
    )
  )

  /** @type {Map<string, Array<number>>} each sandbox's note numbers, in the order in which the hub first accepted them */
  const told = new Map()
  /** @type {Set<string>} */
  const known = new Set()
  const counts = { requests: 0, doubles: 0, killed: 0 }
  /** @type {Set<import("node:child_process").ChildProcess>} */
  const running = new Set()

  const killSome = () => {
    for (const sender of running) {
      if (random.next() < 0.5 || !sender.kill("SIGKILL")) continue
      running.delete(sender)
      counts.killed++
    }
  }
  /** @param {ReadonlyArray<{ id: string, sandbox_id: string, sequence: number }>} notes */
  const take = (notes) => {
    for (const { id, sandbox_id, sequence } of notes) {
      if (known.has(id)) counts.doubles++
      else {
        known.add(id)
        told.set(sandbox_id, [...(told.get(sandbox_id) ?? []), sequence])
      }
    }
  }
  const hub = createServer((request, response) => {
    /** @type {Array<Buffer>} */
    const pieces = []
    request.on("error", () => {})
    request.on("data", (piece) => pieces.push(piece))
    request.on("end", () => {
      counts.requests++
      const notes = [JSON.parse(Buffer.concat(pieces).toString("utf8"))].flat()
      const chance = random.next()
      // Before the answer, during it, or while the sender records it.
      if (kills && random.next() < 0.1) setTimeout(killSome, random.between(0, 15))
      if (chance < 0.03) return void response.writeHead(500).end()
      // Accepted, but the answer is lost.
      if (chance > 0.06) response.writeHead(200).end()
      else response.socket?.end("HTTP/1.1 200 OK\r\nContent-Le")
      take(notes)
    })
  })
  await /** @type {Promise<void>} */ (new Promise((resolve) => hub.listen(0, "127.0.0.1", resolve)))
  const address = hub.address()
  const port = address !== null && typeof address === "object" ? address.port : 0

  /** Sends until nothing waits; starts again each time it is killed. */
  const send = async () => {
    for (;;) {
      const sender = spawn(process.execPath, [join(root, "dist/bin.js"), "hub", "flush"], {
        env: { ...process.env, SANDBOXER_HOME: home, STATE_HUB_URL: `http://127.0.0.1:${port}` },
        stdio: "ignore"
      })
      running.add(sender)
      const exitCode = await new Promise((resolve) => sender.once("close", resolve))
      running.delete(sender)
      if (exitCode === 0) return
    }
  }
  const begun = performance.now()
  await Promise.all(Array.from({ length: senders }, send))
  const seconds = (performance.now() - begun) / 1000
  hub.closeAllConnections()
  hub.close()
  rmSync(home, { recursive: true })

  const inOrder = [...told.values()].filter((numbers) =>
    numbers.every((number, index) => number === index + 1)
  )
  return {
    ...counts,
    seconds,
    lost: sandboxes * each - known.size,
    // After a lost note, the later ones are out of order too.
    disordered: told.size - inOrder.length
  }
}

console.log(`${sandboxes * each} notes of ${sandboxes} sandboxes, ${senders} senders at once

| senders are killed | seconds | notes a second | kills | requests | lost | sandboxes out of order | sent twice |
|---|--:|--:|--:|--:|--:|--:|--:|`)
for (const kills of [false, true]) {
  const { disordered, doubles, killed, lost, requests, seconds } = await measure(kills)
  const rate = Math.round((sandboxes * each) / seconds)
  console.log(
    `| ${kills ? "at random" : "no"} | ${seconds.toFixed(1)} | ${rate} | ${killed} | ${requests} | ${lost} | ${disordered} | ${doubles} |`
  )
  if (lost > 0 || disordered > 0) process.exitCode = 1
}

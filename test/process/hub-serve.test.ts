import * as fs from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import type { KeptNote } from "../../src/hub/server/HubApi.js"
import { note, notes } from "../hub/server/hub.js"
import { shortest, waitFor } from "../support/patience.js"
import { it, type Lab, type Started } from "./harness.js"

interface Hub extends Started {
  readonly url: string
}

/** A hub of the lab, once it listens: on a free port, unless it is said otherwise. */
const serve = async (
  lab: Lab,
  args: ReadonlyArray<string> = ["--port", "0"],
  env: Readonly<Record<string, string>> = {}
): Promise<Hub> => {
  const started = lab.start(["hub", "serve", ...args], env)
  const ended = started.ended.then(({ stderr }) => {
    throw new Error(`the hub ended: ${stderr}`)
  })
  const url = await Promise.race([waitFor("a URL", () => /^(http:\S+)\n/.exec(started.stdout())?.[1]), ended])
  // It may end as it likes from now on.
  ended.catch(() => {})
  return { ...started, url }
}

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${url}/progress`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body)
  })

const pages = async (url: string): Promise<ReadonlyArray<KeptNote>> => {
  const found: Array<KeptNote> = []
  for (let cursor: number | null = 0; cursor !== null; ) {
    const answer: Response = await fetch(`${url}/notes?limit=1000&cursor=${cursor}`)
    const page = (await answer.json()) as {
      readonly items: ReadonlyArray<KeptNote>
      readonly next: number | null
    }
    found.push(...page.items)
    cursor = page.next
  }
  return found
}

/** Reads a stream: what came so far, until it is cut, or ends. */
const listen = (url: string, lastEventId?: string) => {
  const cut = new AbortController()
  const seen: Array<{ readonly event: string; readonly id: string }> = []
  const connected = fetch(`${url}/notes/stream?cursor=0`, {
    signal: cut.signal,
    headers: lastEventId === undefined ? {} : { "last-event-id": lastEventId }
  })
  const ended = connected
    .then(async ({ body }) => {
      let rest = ""
      for await (const text of body!.pipeThrough(new TextDecoderStream())) {
        const blocks = (rest + text).split("\n\n")
        rest = blocks.pop() ?? ""
        for (const block of blocks) {
          const [, event, data] = /^id: (\d+)\ndata: (.*)$/.exec(block) ?? []
          if (event !== undefined) seen.push({ event, id: (JSON.parse(data!) as KeptNote).id })
        }
      }
    })
    .then(
      () => "well",
      () => "broken off"
    )
  return { connected, seen, ended, cut: () => cut.abort() }
}

const inOrder = (kept: ReadonlyArray<KeptNote>, sandbox: string) =>
  kept.filter(({ sandbox_id }) => sandbox_id === sandbox).map(({ sequence }) => sequence)

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

describe("many senders", () => {
  it("can repeat notes: the hub stores each once, in order", async ({ lab }) => {
    const { url } = await serve(lab)
    const sandboxes = ["a", "b", "c", "d"]
    const answers = sandboxes.flatMap((sandbox) =>
      // Two senders each, as when one takes over from another that still sends.
      [7, 11].map(async (atOnce) => {
        const all = notes(1, 250, { sandbox_id: sandbox }).map((one) => ({
          ...one,
          id: `${sandbox}-${one.id}`
        }))
        let taken = 0
        for (let from = 0; from < all.length; from += atOnce) {
          const answer = await post(url, all.slice(from, from + atOnce))
          expect(answer.status).toBe(200)
          taken += ((await answer.json()) as { readonly taken: number }).taken
        }
        return taken
      })
    )
    expect((await Promise.all(answers)).reduce((sum, one) => sum + one)).toBe(1000)
    const kept = await pages(url)
    expect(kept).toHaveLength(1000)
    for (const sandbox of sandboxes) expect(inOrder(kept, sandbox)).toEqual(upTo(250))
  })
})

describe("a live stream", () => {
  it("that was cut resumes without losing or repeating a note", async ({ lab }) => {
    const { url } = await serve(lab)
    const total = 300
    const seen: Array<{ readonly event: string; readonly id: string }> = []
    const sending = (async () => {
      for (let n = 1; n <= total; n++) expect((await post(url, note(n))).status).toBe(200)
    })()
    for (let cuts = 0; seen.length < total; cuts++) {
      const stream = listen(url, seen.at(-1)?.event)
      await waitFor("notes", () => stream.seen.length >= Math.min(40, total - seen.length))
      stream.cut()
      await stream.ended
      seen.push(...stream.seen)
      expect(cuts).toBeLessThan(20)
    }
    await sending
    expect(seen.map(({ id }) => id)).toEqual(upTo(total).map((n) => `tiny-${n}`))
  })
})

describe("a build", () => {
  it("is reported to a hub from its request to its end", async ({ lab }) => {
    const { url } = await serve(lab)
    const { exitCode, sandbox, stderr } = await lab
      .creating({ STATE_HUB_URL: url }, "-i", "vm_name=told", "--workstream", "images")
      .outcome()
    expect(exitCode, stderr).toBe(0)
    const kept = await pages(url)
    expect(kept.map(({ sandbox_id, workstream_id }) => [sandbox_id, workstream_id])).toEqual(
      kept.map(() => [sandbox.id, "images"])
    )
    expect(kept.at(0)?.event_type).toBe("requested")
    expect(kept.at(-1)?.event_type).toBe("ready")
    const sequence = kept.map((one) => one.sequence)
    expect(sequence).toEqual([...new Set(sequence)].sort((a, b) => a - b))
  })
})

describe("a hub that is killed", () => {
  it("has every note that it accepted after a restart", async ({ lab }) => {
    const first = await serve(lab)
    const taken: Array<string> = []
    const senders = ["a", "b", "c"].map(async (sandbox) => {
      for (let n = 1; ; n++) {
        const id = `${sandbox}-${n}`
        try {
          const answer = await post(first.url, note(n, { id, sandbox_id: sandbox }))
          if (answer.status === 200) taken.push(id)
        } catch {
          return
        }
      }
    })
    const stream = listen(first.url)
    await waitFor("notes", () => taken.length > 100)
    lab.signal(first.pid, "SIGKILL")
    await Promise.all(senders)
    expect(await stream.ended).toBe("broken off")
    const { url } = await serve(lab, ["--port", new URL(first.url).port])
    const kept = (await pages(url)).map(({ id }) => id)
    expect(taken.filter((id) => !kept.includes(id))).toEqual([])
    // What was on its way is told again, and is there once.
    await post(
      url,
      taken.map((id) => note(1, { id }))
    )
    expect((await pages(url)).map(({ id }) => id)).toEqual(kept)
    // A stream that was open goes on with the new one.
    const again = listen(url, stream.seen.at(-1)?.event)
    // The first one may have seen them all.
    const seen = () => [...stream.seen, ...again.seen].map(({ id }) => id)
    await waitFor("the rest", () => seen().at(-1) === kept.at(-1))
    again.cut()
    expect(seen()).toEqual(kept)
  })
})

describe("the hub's token", () => {
  it("is required when the hub listens beyond loopback", async ({ lab }) => {
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "hub.example"]) {
      const { exitCode, stderr, stdout } = await lab.run(["hub", "serve", "--host", host, "--port", "0"])
      expect([exitCode, stdout]).toEqual([2, ""])
      expect(stderr).toContain(`error: others can reach ${host}, and this hub has no token`)
      expect(stderr).toContain("hint: set STATE_HUB_TOKEN or give --token-file")
    }
  })

  it("is read from the environment or from a private file", async ({ lab }) => {
    const file = lab.write("token", "of-the-file\n")
    fs.chmodSync(file, 0o640)
    const refused = await lab.run(["hub", "serve", "--port", "0", "--token-file", file])
    expect([refused.exitCode, refused.stdout]).toEqual([2, ""])
    expect(refused.stderr).toContain("others may read")
    const missing = await lab.run(["hub", "serve", "--port", "0", "--token-file", `${file}2`])
    expect(missing.exitCode).toBe(2)
    fs.writeFileSync(file, "\n")
    fs.chmodSync(file, 0o600)
    expect((await lab.run(["hub", "serve", "--port", "0", "--token-file", file])).exitCode).toBe(2)

    fs.writeFileSync(file, "of-the-file\n")
    const env = { STATE_HUB_TOKEN: "of-the-environment" }
    const [fromFile, fromEnvironment] = await Promise.all([
      serve(lab, ["--port", "0", "--token-file", file, "--database", join(lab.folder, "other.db")], env),
      // As far as it knows, this address is not this machine's own.
      serve(lab, ["--port", "0", "--host", "::ffff:127.0.0.1"], env)
    ])
    const status = async ({ url }: Hub, token: string) =>
      (await post(url, note(1), { authorization: `Bearer ${token}` })).status
    expect(await status(fromFile, "of-the-file")).toBe(200)
    expect(await status(fromFile, "of-the-environment")).toBe(401)
    expect(await status(fromEnvironment, "of-the-environment")).toBe(200)
    expect(await status(fromEnvironment, "wrong")).toBe(401)
    expect((await fetch(`${fromEnvironment.url}/notes`)).status).toBe(401)
    for (const hub of [fromFile, fromEnvironment]) {
      lab.signal(hub.pid, "SIGTERM")
      const { exitCode, stderr, stdout } = await hub.ended
      expect(exitCode).toBe(0)
      expect(`${stdout}${stderr}`).not.toMatch(/of-the/)
    }
  })
})

describe("malformed or oversized requests", () => {
  it("are rejected, and the next request is answered", async ({ lab }) => {
    const hub = await serve(lab)
    const large = note(1, { summary: "x".repeat(3 * 1024 * 1024) })
    expect((await post(hub.url, large)).status).toBe(413)
    const chunked = await fetch(`${hub.url}/progress`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: new Blob([JSON.stringify(large)]).stream(),
      duplex: "half"
    } as RequestInit)
    expect(chunked.status).toBe(413)
    // So large that the hub does not even read it.
    const endless = fetch(`${hub.url}/progress`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: new Uint8Array(64 * 1024 * 1024)
    }).then(
      ({ status }) => status,
      () => 413
    )
    expect(await endless).toBe(413)

    const { port } = new URL(hub.url)
    const garbage = [
      "\u0000\u0001\u0002\u0003\r\n\r\n",
      "GET /notes HTTP/1.1\r\n\r\n",
      `POST /progress HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9${"9".repeat(30)}\r\n\r\n{`,
      "POST /progress HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      `GET /${"a".repeat(100_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      "GET http://evil.example/notes HTTP/1.1\r\nHost: evil.example\r\n\r\n",
      "GET //evil.example/%00%ff/../../etc/passwd?%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      "CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /notes HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    ]
    for (const text of garbage) {
      const socket = net.connect(Number(port), "127.0.0.1")
      const answer = await new Promise<string>((resolve) => {
        let all = ""
        socket.on("data", (piece: Buffer) => {
          all += piece.toString("latin1")
          // Enough is seen; some of these would wait for more.
          socket.end()
        })
        socket.on("error", () => {})
        socket.on("close", () => resolve(all))
        socket.end(text)
      })
      expect(answer).not.toMatch(/root:|evil/)
      expect((await fetch(`${hub.url}/health`)).status).toBe(200)
    }
    // Half a request, and nobody there any more.
    const half = net.connect(Number(port), "127.0.0.1")
    half.write(
      "POST /progress HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    await new Promise((resolve) => half.once("connect", resolve))
    half.destroy()
    expect(await (await post(hub.url, note(1))).json()).toEqual({ taken: 1, doubles: 0 })
    lab.signal(hub.pid, "SIGTERM")
    expect((await hub.ended).exitCode).toBe(0)
  })

  it("with hostile text do no harm to readers", async ({ lab }) => {
    const hub = await serve(lab)
    const text = "\r\n\r\ndata: x\n\nid: 7\n\u001b[2J\u2028\u202e<script>alert(1)</script>\u0000\ud800"
    const hostile = note(1, { summary: text, sandbox_id: text, event_type: text, detail: { [text]: [text] } })
    const stream = listen(hub.url)
    expect((await post(hub.url, [hostile, note(2)])).status).toBe(200)
    await waitFor("both notes", () => stream.seen.length === 2)
    expect(stream.seen.map(({ id }) => id)).toEqual(["tiny-1", "tiny-2"])
    stream.cut()
    expect((await pages(hub.url))[0]).toMatchObject(hostile)
    // What is asked for is no label either.
    await fetch(`${hub.url}/script"} 1`, { method: "PUT", headers: { "user-agent": "script" } })
    await fetch(`${hub.url}/notes?script=1`)
    const metrics = await (await fetch(`${hub.url}/metrics`)).text()
    expect(metrics).toContain('requests_total{route="other",status="404"} 1')
    expect(metrics).not.toMatch(/script|\[2J|PUT/)
    lab.signal(hub.pid, "SIGINT")
    const { stderr, stdout } = await hub.ended
    expect(`${stdout}${stderr}`).not.toMatch(/script|\[2J/)
  })
})

describe("a hub that cannot start", () => {
  it("says why", async ({ lab }) => {
    const { url } = await serve(lab)
    const { port } = new URL(url)
    const taken = await lab.run(["hub", "serve", "--port", port])
    expect([taken.exitCode, taken.stdout]).toEqual([13, ""])
    expect(taken.stderr).toContain(`error: another program listens on port ${port} of 127.0.0.1`)
    expect(taken.stderr).toContain("hint: a hub may be there already; take another --port")

    const env = { STATE_HUB_TOKEN: "t" }
    // An address for documentation: no machine has it.
    const elsewhere = await lab.start(["hub", "serve", "--host", "192.0.2.1", "--port", "0"], env).ended
    expect([elsewhere.exitCode, elsewhere.stderr]).toEqual([
      2,
      expect.stringContaining("cannot listen on port 0")
    ])
    expect((await lab.run(["hub", "serve", "--port", "65536"])).exitCode).toBe(2)
    expect((await lab.run(["hub", "serve", "--port", "-1"])).exitCode).toBe(2)

    const nowhere = await lab.run([
      "hub",
      "serve",
      "--port",
      "0",
      "--database",
      join(lab.folder, "none", "hub.db")
    ])
    expect([nowhere.exitCode, nowhere.stderr]).toEqual([15, expect.stringContaining("hint: Make sure that")])
    const damaged = lab.write("damaged.db", "x".repeat(10_000))
    expect((await lab.run(["hub", "serve", "--port", "0", "--database", damaged])).exitCode).toBe(1)
  })
})

describe.each(["SIGINT", "SIGTERM"] as const)("hub serve on %s", (signal) => {
  it("exits cleanly and closes its streams at once", async ({ lab }) => {
    /** How long a hub takes to end after the signal, in milliseconds. */
    const end = async () => {
      const hub = await serve(lab)
      const streams = upTo(5).map(() => listen(hub.url))
      await Promise.all(streams.map(({ connected }) => connected))
      await post(hub.url, note(1))
      await waitFor("the note", () => streams.every(({ seen }) => seen.length === 1))
      const began = performance.now()
      lab.signal(hub.pid, signal)
      expect(await Promise.all(streams.map(({ ended }) => ended))).toEqual(streams.map(() => "well"))
      expect(await hub.ended).toMatchObject({ exitCode: 0, signal: null, stdout: `${hub.url}\n` })
      const took = performance.now() - began
      expect(fs.readdirSync(lab.home).filter((name) => name !== "hub.db")).toEqual([])
      fs.rmSync(join(lab.home, "hub.db"))
      return took
    }
    // A connection that stays open would delay it by five seconds.
    expect(await shortest(4500, end)).toBeLessThan(4500)
  })
})

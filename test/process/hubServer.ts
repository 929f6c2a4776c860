/** A State Hub that behaves as it is told, and keeps what it was told. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import type { Note } from "../../src/domain/Note.js"

/** Answers a request; false where the notes in it are not taken. */
export type Behaviour = (
  response: ServerResponse,
  notes: ReadonlyArray<Note>,
  request: IncomingMessage
) => boolean

const answer =
  (status: number, headers: Record<string, string> = {}, body = "{}"): Behaviour =>
  (response) => {
    response.writeHead(status, headers).end(body)
    return status >= 200 && status < 300
  }

const well = answer(200)

export const behaviours = {
  well,
  error: answer(500),
  busy: answer(429, { "retry-after": "2" }),
  unauthorized: answer(401),
  missing: answer(404),
  silent: () => false,
  /** It takes notes, and nobody waits for its yes. */
  slow: (response) => {
    setTimeout(() => response.writeHead(200).end("{}"), 30_000).unref()
    return true
  },
  closesAtOnce: (response) => {
    response.socket?.destroy()
    return false
  },
  closesInMidAnswer: (response) => {
    response.socket?.end("HTTP/1.1 200 OK\r\nContent-Le")
    return false
  },
  garbage: (response) => {
    response.socket?.end("\u0000\u0001\u0002 220 smtp ready\r\n\r\n")
    return false
  },
  /** The phase `create` alone is none of its. */
  refusesOne: (response, notes, request) =>
    notes.some(({ phase }) => phase === "create")
      ? answer(400, {}, "no such phase")(response, notes, request)
      : well(response, notes, request)
} satisfies Record<string, Behaviour>

export class HubServer {
  behaviour: Behaviour = behaviours.well
  /** The ids of notes that were answered with yes, each time. */
  readonly taken: Array<string> = []
  /** Each note that it was told and took, the first time. */
  readonly notes = new Map<string, Note>()
  requests = 0
  authorizations = new Set<string | undefined>()
  private port = 0
  private readonly server = createServer((request, response) => {
    const pieces: Array<Buffer> = []
    request.on("error", () => {})
    request.on("data", (piece: Buffer) => pieces.push(piece))
    request.on("end", () => {
      this.requests++
      this.authorizations.add(request.headers.authorization)
      const body = JSON.parse(Buffer.concat(pieces).toString("utf8")) as Note | ReadonlyArray<Note>
      const notes = [body].flat() as ReadonlyArray<Note>
      if (!this.behaviour(response, notes, request)) return
      for (const note of notes) {
        this.taken.push(note.id)
        if (!this.notes.has(note.id)) this.notes.set(note.id, note)
      }
    })
  })

  get env() {
    return { STATE_HUB_URL: `http://127.0.0.1:${this.port}`, STATE_HUB_TOKEN: "hub-token" }
  }

  /** Listens; a second time at the same port. */
  async open() {
    await new Promise<void>((resolve) => this.server.listen(this.port, "127.0.0.1", resolve))
    this.port = (this.server.address() as AddressInfo).port
  }

  async close() {
    this.server.closeAllConnections()
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
  }

  /** How often a note was taken that it had taken before. */
  get doubles() {
    return this.taken.length - this.notes.size
  }

  /** The numbers of a sandbox's notes, in the order in which they were first taken. */
  sequences(sandboxId: string): ReadonlyArray<number> {
    return [...this.notes.values()].flatMap(({ sandbox_id, sequence }) =>
      sandbox_id === sandboxId ? [sequence] : []
    )
  }
}

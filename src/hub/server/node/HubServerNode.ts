/** A hub on Node's HTTP server. */
import { createServer, type Server } from "node:http"
import type * as HttpServer from "@effect/platform/HttpServer"
import type { ServeError } from "@effect/platform/HttpServerError"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { codeOf, describeError } from "../../../domain/ErrorKind.js"
import { isLoopback } from "../../../domain/Loopback.js"
import { Timing, type TimingShape } from "../../../settings/Timing.js"
import { HubServer, HubServerError, type HubServerOptions } from "../HubServer.js"
import type { HubStore } from "../HubStore.js"
import { makeApp } from "./App.js"

const serveError =
  ({ host, port }: HubServerOptions) =>
  ({ cause }: ServeError) =>
    codeOf(cause) === "EADDRINUSE"
      ? new HubServerError({
          reason: "port-taken",
          message: `another program listens on port ${port} of ${host}`,
          hint: "a hub may be there already; take another --port, or 0 for any that is free"
        })
      : new HubServerError({
          reason: "address",
          message: `cannot listen on port ${port} of ${host}: ${describeError(cause)}`,
          hint: "give a --host that is an address of this machine, and a --port from 1024 on"
        })

const check = ({ host, token }: HubServerOptions) => {
  if (token === undefined) {
    return isLoopback(host)
      ? Effect.void
      : new HubServerError({
          reason: "token",
          message: `others can reach ${host}, and this hub has no token`,
          hint: "set STATE_HUB_TOKEN or give --token-file, or leave out --host to listen for this machine alone"
        })
  }
  return /^[\x21-\x7e]+$/.test(Redacted.value(token))
    ? Effect.void
    : new HubServerError({
        reason: "token",
        message:
          "the hub's token is empty, or has something else in it than letters, digits and signs of ASCII",
        hint: "make one: openssl rand -hex 32"
      })
}

const urlOf = (address: HttpServer.Address, { host }: HubServerOptions) => {
  const port = address._tag === "TcpAddress" ? address.port : 0
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`
}

/** Closes each connection as soon as it has no request, and all of them after a grace. */
const closeConnections = (node: Server, { closeGrace, closePoll }: TimingShape["hubServer"]) => {
  const idle = setInterval(() => node.closeIdleConnections(), Duration.toMillis(closePoll))
  const all = setTimeout(() => node.closeAllConnections(), Duration.toMillis(closeGrace))
  node.once("close", () => {
    clearInterval(idle)
    clearTimeout(all)
  })
}

/**
 * Listens, and serves the HubStore until its scope ends: then it takes no more, ends its streams, and lets requests
 * come to their end.
 * @category layers
 */
export const layer = (options: HubServerOptions): Layer.Layer<HubServer, HubServerError, HubStore> =>
  Layer.scoped(
    HubServer,
    Effect.gen(function* () {
      yield* check(options)
      const { app, close } = yield* makeApp({
        token: options.token,
        loopback: isLoopback(options.host)
      })
      const timing = (yield* Timing).hubServer
      const requestTimeout = Duration.toMillis(timing.requestTimeout)
      const node = createServer({ requestTimeout, headersTimeout: requestTimeout })
      node.maxConnections = timing.connections
      const server = yield* NodeHttpServer.make(() => node, { host: options.host, port: options.port }).pipe(
        Effect.mapError(serveError(options))
      )
      yield* server.serve(app)
      // The last to be added is the first to run: then the server waits until its connections are closed.
      yield* Effect.addFinalizer(() =>
        Effect.zipRight(
          close,
          Effect.sync(() => closeConnections(node, timing))
        )
      )
      return { url: urlOf(server.address, options) }
    })
  ).pipe(Layer.provide(NodeHttpServer.layerContext))

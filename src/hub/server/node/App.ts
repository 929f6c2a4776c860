/** A hub as one HTTP app: HubApi, and around it what applies to every request. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpRouter from "@effect/platform/HttpRouter"
import { RouteNotFound } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Timing } from "../../../settings/Timing.js"
import { HubApi } from "../HubApi.js"
import { Forbidden, NotFound, TooMany } from "../HubRefusals.js"
import type { HubStore } from "../HubStore.js"
import { page } from "../page/Page.js"
import { layerAuthorization, whyStranger } from "./AccessGuard.js"
import { layerHandlers } from "./Handlers.js"
import { makeLive } from "./Live.js"
import { makeMetrics, routeOf } from "./Metrics.js"
import { makeRateLimit } from "./RateLimit.js"

export interface AppOptions {
  readonly token: Redacted.Redacted | undefined
  /** Whether only this machine can reach it. */
  readonly loopback: boolean
}

export interface HubApp {
  readonly app: HttpApp.Default<never, HttpRouter.HttpRouter.DefaultServices>
  /** Ends the streams that are open. */
  readonly close: Effect.Effect<void>
}

const answerOf = (
  status: number,
  { _tag, message }: Pick<Forbidden | NotFound | TooMany, "_tag" | "message">
) => HttpServerResponse.unsafeJson({ _tag, message }, { status })

const failed = (cause: Cause.Cause<unknown>) => {
  if (Cause.squash(cause) instanceof RouteNotFound) {
    return Effect.succeed(answerOf(404, new NotFound({ message: "see /openapi.json for what there is" })))
  }
  // The client has disconnected.
  if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
  return Effect.as(Effect.logError(cause), HttpServerResponse.empty({ status: 500 }))
}

const headersOf = (status: number, retryAfter: number): Readonly<Record<string, string>> => ({
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
  ...(status === 429 ? { "retry-after": String(retryAfter) } : {}),
  // The rest of such a request is not read.
  ...(status === 413 ? { connection: "close" } : {})
})

/** The hub, and its streams and counters, which are its own. */
export const makeApp = ({
  loopback,
  token
}: AppOptions): Effect.Effect<HubApp, never, HubStore | Scope.Scope> =>
  Effect.gen(function* () {
    const metrics = makeMetrics()
    const { hubServer } = yield* Timing
    const rateLimit = makeRateLimit(hubServer)
    const streamRetry = Duration.toSeconds(hubServer.streamRetry)
    const live = yield* makeLive
    const services = yield* Layer.build(
      HttpApiBuilder.api(HubApi).pipe(
        Layer.provide(Layer.provide(layerHandlers(live, metrics), layerAuthorization(token))),
        Layer.merge(HttpApiBuilder.Router.use((router) => router.get("/", page))),
        Layer.provideMerge(Layer.merge(HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer))
      )
    )
    const api = yield* Effect.provide(HttpApiBuilder.httpApp, services)
    const app = Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const wait = yield* rateLimit(request.remoteAddress._tag === "Some" ? request.remoteAddress.value : "")
      const why = whyStranger(request, loopback)
      const response =
        wait !== undefined
          ? answerOf(429, new TooMany({ message: "too many requests" }))
          : why !== undefined
            ? answerOf(403, new Forbidden({ message: why }))
            : yield* Effect.catchAllCause(api, failed)
      const route = routeOf(request.method, request.url.replace(/\?.*$/s, ""))
      metrics.answered(route, response.status)
      yield* Effect.logDebug(`${route}: ${response.status}`)
      return HttpServerResponse.setHeaders(response, headersOf(response.status, wait ?? streamRetry))
    })
    return { app, close: live.close }
  })

/** Checks who may use a hub, before the request itself is read. */
import { createHash, timingSafeEqual } from "node:crypto"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { isLoopback } from "../../../domain/Loopback.js"
import { Authorization } from "../HubApi.js"
import { Unauthorized } from "../HubRefusals.js"

const digest = (text: string) => createHash("sha256").update(text).digest()

/** Requires the token, if there is one. */
export const layerAuthorization = (token: Redacted.Redacted | undefined): Layer.Layer<Authorization> => {
  const wanted = token === undefined ? undefined : digest(Redacted.value(token))
  return Layer.succeed(Authorization, {
    bearer: (given) =>
      // Digests have equal length, so the time of the comparison reveals nothing about the token.
      wanted === undefined || timingSafeEqual(digest(Redacted.value(given)), wanted)
        ? Effect.void
        : new Unauthorized({ message: "this hub wants its token: Authorization: Bearer TOKEN" })
  })
}

const hostOf = (authority: string) => {
  try {
    return new URL(`http://${authority}`).hostname
  } catch {
    return ""
  }
}

/**
 * The reason to refuse a request because of its host or origin; undefined if it is fine. Another site can point its name to
 * loopback; its pages then send requests here from the user's browser, but under that name.
 */
export const whyStranger = (
  { headers }: HttpServerRequest.HttpServerRequest,
  loopback: boolean
): string | undefined => {
  const host = headers.host ?? ""
  if (loopback && !isLoopback(hostOf(host))) return "ask for this hub as localhost, or 127.0.0.1"
  const { origin } = headers
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`
    ? undefined
    : "pages of other sites may not ask"
}

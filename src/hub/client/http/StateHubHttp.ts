/** A State Hub over HTTP: `POST {url}/progress`, as in docs/state-hub.md. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { isLoopback } from "../../../domain/Loopback.js"
import type { HubSettings } from "../../../settings/HubSettings.js"
import { Settings } from "../../../settings/Settings.js"
import { HubError, noop, StateHub } from "../StateHub.js"

const badToken = (message: string, hint: string) => new HubError({ reason: "misconfigured", message, hint })

/** Reads the token file each time: a token that others can read is rejected, and a replaced one counts at once. */
const readToken = (fs: FileSystem.FileSystem, file: string) =>
  Effect.gen(function* () {
    const { mode } = yield* fs.stat(file)
    if ((mode & 0o077) !== 0) {
      return yield* badToken(
        `others may read the State Hub's token file ${file}`,
        `chmod 600 ${file}, and ask for a new token if it may have been read`
      )
    }
    return Redacted.make((yield* fs.readFileString(file)).trim())
  }).pipe(
    Effect.catchTags({
      BadArgument: (error) =>
        badToken(`the State Hub's token cannot be read: ${error.message}`, "see hub.tokenFile"),
      SystemError: (error) =>
        badToken(`the State Hub's token cannot be read: ${error.message}`, "see hub.tokenFile")
    })
  )

const checked = (token: Redacted.Redacted) =>
  /^[\x21-\x7e]+$/.test(Redacted.value(token))
    ? Effect.succeed(token)
    : badToken(
        "the State Hub's token has something else in it than letters, digits and signs",
        "see STATE_HUB_TOKEN and hub.tokenFile"
      )

/** Whether the token would be sent unencrypted over a network. */
const warningOf = ({ endpoint, token, tokenFile }: HubSettings) => {
  const { hostname, origin, protocol } = new URL(endpoint)
  return protocol === "http:" && !isLoopback(hostname) && (token ?? tokenFile) !== undefined
    ? `the State Hub's token, and all that it is told, goes to ${origin} in clear: whoever is between can read it. Give it an https URL, or go through an SSH tunnel`
    : undefined
}

/**
 * The hub that the settings name; without one, nothing is sent.
 * @category layers
 */
export const layer: Layer.Layer<StateHub, never, Settings | FileSystem.FileSystem> = Layer.effect(
  StateHub,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { hub } = yield* Settings
    if (hub === undefined) return noop
    const token = Effect.suspend(() =>
      hub.token !== undefined
        ? Effect.asSome(checked(hub.token))
        : hub.tokenFile !== undefined
          ? Effect.asSome(Effect.flatMap(readToken(fs, hub.tokenFile), checked))
          : Effect.succeed(Option.none())
    )
    const warning = warningOf(hub)
    return {
      target: hub.endpoint,
      ...(warning === undefined ? {} : { warning }),
      publish: (notes) =>
        Effect.gen(function* () {
          const bearer = Option.getOrUndefined(yield* token)
          // Loaded on demand: a command without a hub needs no HTTP client.
          const { post } = yield* Effect.promise(() => import("./HttpPost.js"))
          yield* post({ endpoint: hub.endpoint, fields: hub.fields, token: bearer, notes })
        })
    }
  })
)

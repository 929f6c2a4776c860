/** One request to a State Hub, and the meaning of its answer. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { type Note, oneLine } from "../../../domain/Note.js"
import { Timing } from "../../../settings/Timing.js"
import { HubError } from "../StateHub.js"

export interface Post {
  readonly endpoint: string
  readonly fields: Readonly<Record<string, string | false>>
  readonly token: Redacted.Redacted | undefined
  readonly notes: ReadonlyArray<Note>
}

const again: ReadonlyArray<number> = [408, 425, 429]
const never: ReadonlyArray<number> = [400, 413, 422]

/** A note with the field names that the hub expects. */
export const mapped = (note: Note, fields: Post["fields"]): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(note).flatMap(([name, value]) => {
      const theirs = fields[name] ?? name
      return theirs === false ? [] : [[theirs, value]]
    })
  )

/** Seconds, or a date, as HTTP has it. */
const retryAfter = ({ headers }: HttpClientResponse) =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const given = headers["retry-after"]?.trim() ?? ""
    const seconds = /^\d+$/.test(given) ? Number(given) : (Date.parse(given) - now) / 1000
    return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined
  })

/** One line of the body of an answer, whatever its type. */
const said = (response: HttpClientResponse) =>
  Effect.flatMap(Timing, ({ hub: { answerBytes, answerTimeout } }) =>
    response.stream.pipe(
      Stream.decodeText(),
      Stream.scan("", (text, piece) => text + piece),
      Stream.takeUntil((text) => text.length >= answerBytes),
      Stream.runLast,
      Effect.timeout(answerTimeout),
      Effect.map((text) => (text._tag === "Some" ? oneLine(text.value.slice(0, answerBytes), 200) : "")),
      Effect.orElseSucceed(() => "")
    )
  )

/** The error for an answer that does not accept the notes. */
const errorOf = (endpoint: string, response: HttpClientResponse) =>
  Effect.gen(function* () {
    const { status } = response
    const text = yield* said(response)
    const message = `${endpoint} answers ${status}${text === "" ? "" : `: ${text}`}`
    if (never.includes(status)) {
      return new HubError({ reason: "refused", message, hint: "`sandboxer hub status` shows it" })
    }
    if (again.includes(status) || status >= 500) {
      const retryAfterSeconds = yield* retryAfter(response)
      return new HubError({
        reason: "unavailable",
        message,
        hint: "notes wait until it is well again",
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds })
      })
    }
    return new HubError({
      reason: "misconfigured",
      message,
      hint:
        status === 401 || status === 403
          ? "check STATE_HUB_TOKEN, or the file that hub.tokenFile names; then `sandboxer hub flush`"
          : "check STATE_HUB_URL, or hub.url and hub.path; then `sandboxer hub flush`"
    })
  })

const causeOf = (error: unknown): string =>
  error instanceof Error && error.cause !== undefined
    ? causeOf(error.cause)
    : error instanceof AggregateError
      ? error.errors.map(causeOf).join("; ")
      : error instanceof Error
        ? error.message
        : String(error)

const send = ({ endpoint, fields, notes, token }: Post) =>
  Effect.gen(function* () {
    const client = HttpClient.withTracerPropagation(HttpClient.withScope(yield* HttpClient.HttpClient), false)
    const bodies = notes.map((note) => mapped(note, fields))
    const [only] = notes
    const plain = HttpClientRequest.post(endpoint).pipe(
      HttpClientRequest.bodyUnsafeJson(bodies.length === 1 ? bodies[0] : bodies)
    )
    const keyed =
      bodies.length === 1 && only !== undefined
        ? HttpClientRequest.setHeader(plain, "Idempotency-Key", only.id)
        : plain
    const request = token === undefined ? keyed : HttpClientRequest.bearerToken(keyed, Redacted.value(token))
    const response = yield* Effect.mapError(
      client.execute(request),
      (error) =>
        new HubError({
          reason: "unavailable",
          message: `${endpoint} cannot be reached: ${oneLine(causeOf(error))}`,
          hint: "notes wait until it can"
        })
    )
    if (response.status < 200 || response.status >= 300) {
      return yield* yield* errorOf(endpoint, response)
    }
  })

/** Posts notes; only the status of the answer counts. */
export const post = (request: Post): Effect.Effect<void, HubError> =>
  Effect.flatMap(Timing, ({ hub: { requestTimeout } }) =>
    // The scope closes whatever is left of an answer.
    Effect.timeoutFail(Effect.scoped(send(request)), {
      duration: requestTimeout,
      onTimeout: () =>
        new HubError({
          reason: "unavailable",
          message: `${request.endpoint} gives no answer within ${Duration.toSeconds(requestTimeout)} s`,
          hint: "notes wait until it does"
        })
    })
  ).pipe(
    Effect.provide(FetchHttpClient.layer),
    // The token must not go where a redirection leads.
    Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
  )

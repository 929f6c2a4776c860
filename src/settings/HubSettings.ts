/** The keys of the State Hub: its URL, our token, and its own names for the fields of a note. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { UsageError } from "../domain/Errors.js"
import { didYouMean } from "../domain/Nearest.js"
import { Note } from "../domain/Note.js"

/** Keys of `hub` in the configuration file. */
export const HubKeys = Schema.Struct({
  url: Schema.optional(Schema.NonEmptyString),
  /** A file with the token, readable by its owner only. */
  tokenFile: Schema.optional(Schema.NonEmptyString),
  /** The path after the URL; `/progress` by default. */
  path: Schema.optional(Schema.NonEmptyString),
  /** The hub's name for each field of a note; false leaves the field out. */
  fields: Schema.optional(
    Schema.Record({ key: Schema.String, value: Schema.Union(Schema.NonEmptyString, Schema.Literal(false)) })
  )
}).annotations({ title: "the keys of hub" })

export interface HubSettings {
  /** The URL that notes are posted to. */
  readonly endpoint: string
  /** As it was given; the endpoint is made of this URL and the hub's path. */
  readonly url: string
  readonly fields: Readonly<Record<string, string | false>>
  /** Wins over the file. */
  readonly token: Redacted.Redacted | undefined
  /** Read for each request, so that the token can change while a build runs. */
  readonly tokenFile: string | undefined
}

const wrong = (message: string, hint: string) => new UsageError({ reason: "configuration", message, hint })

const parse = (text: string, from: string): Effect.Effect<URL, UsageError> =>
  Effect.gen(function* () {
    const hint = "write it as https://hub.example.org"
    const url = yield* Effect.try({
      try: () => new URL(text),
      catch: () => wrong(`${from}: ${JSON.stringify(text)} is not a URL`, hint)
    })
    if (url.username !== "" || url.password !== "") {
      return yield* wrong(
        `${from}: the State Hub's URL contains credentials`,
        "give the token in STATE_HUB_TOKEN, or in the file that hub.tokenFile names"
      )
    }
    return url.protocol === "http:" || url.protocol === "https:"
      ? url
      : yield* wrong(`${from}: the State Hub's URL starts with ${url.protocol}`, hint)
  })

export interface HubInput {
  readonly file: typeof HubKeys.Type
  /** The name of the configuration file, for error messages. */
  readonly fileName: string
  /** The environment's STATE_HUB_URL and STATE_HUB_TOKEN. */
  readonly url: string | undefined
  readonly token: string | undefined
  /** Makes a path of the configuration file absolute. */
  readonly beside: (name: string) => string
}

/** The hub of the environment and the file; undefined if neither has a URL. */
export const resolve = ({
  beside,
  file,
  fileName,
  token,
  url: given
}: HubInput): Effect.Effect<{ readonly hub: HubSettings; readonly from: string } | undefined, UsageError> =>
  Effect.gen(function* () {
    const { fields = {}, path = "/progress", tokenFile, url: inFile } = file
    const unknown = Object.keys(fields).find((field) => !(field in Note.fields))
    if (unknown !== undefined) {
      const names = Object.keys(Note.fields)
      return yield* wrong(
        `${fileName}: hub.fields: a note has no field ${unknown}`,
        didYouMean(unknown, names, `fields are ${names.join(", ")}`)
      )
    }
    const ofFile = inFile === undefined ? undefined : yield* parse(inFile, `${fileName}: hub.url`)
    const ofEnvironment = given === undefined ? undefined : yield* parse(given, "STATE_HUB_URL")
    const url = ofEnvironment ?? ofFile
    if (url === undefined) return undefined
    // The token of one hub must not be sent to another.
    const same = ofEnvironment === undefined || ofFile === undefined || ofEnvironment.origin === ofFile.origin
    const endpoint = new URL(url)
    endpoint.pathname = `${url.pathname.replace(/\/+$/, "")}/${path.replace(/^\/+/, "")}`
    endpoint.hash = ""
    return {
      hub: {
        url: url.href,
        endpoint: endpoint.href,
        fields,
        token: token === undefined ? undefined : Redacted.make(token),
        tokenFile: tokenFile === undefined || !same ? undefined : beside(tokenFile)
      },
      from: ofEnvironment === undefined ? fileName : "environment STATE_HUB_URL"
    }
  })
